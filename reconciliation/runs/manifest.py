"""The manifest of a run: what went in, by which rules and code, what was counted, and hashes of what came out.

It is the body of the run's record in the log, so it is canonical JSON: digit strings for amounts and rates, no float,
and small whatever the run (files are counted and hashed together; `recon.run_files` lists them).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ledger_core.log.canonical import canonical_bytes
from reconciliation.runs.pins import Pin

SCHEMA = "cf-run/1"


def build_manifest(
    pin: Pin,
    *,
    verdict: str,
    merged: bool,
    counts: Mapping[str, Any],
    rules: list[dict[str, Any]],
    outputs: Mapping[str, str],
) -> dict[str, Any]:
    """Return the manifest of a run."""
    return {
        "as_of": pin.as_of.isoformat(),
        "book": pin.book,
        "code_version": pin.code_version,
        "counts": dict(counts),
        "inputs": pin.as_manifest(),
        "merged": merged,
        "outputs": dict(outputs),
        "rules": rules,
        "run_id": pin.run_id,
        "schema": SCHEMA,
        "verdict": verdict,
    }


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """Return the hash of the manifest's canonical bytes."""
    return sha256(canonical_bytes(dict(manifest))).hexdigest()
