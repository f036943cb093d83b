"""The manifest of a run: what went in, by which rules and code, what was counted, and hashes of what came out.

It is the body of the run's record in the log, so it is canonical JSON: digit strings for amounts and rates, no float,
and small whatever the run (files are counted and hashed together; `recon.run_files` lists them).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, text

from ledger_core.log.canonical import canonical_bytes
from reconciliation.runs.pins import Pin

SCHEMA = "cf-run/1"

# What a match or difference says, without what depends on the order of posting: which of two equal entries came first.
MATCH_COLUMNS = (
    "leg, provider, account, currency, stage, rule, rule_version, is_equal, id_kind, ledger_key, psp_key, bank_key,"
    " ledger_amount_minor, psp_amount_minor, bank_amount_minor, psp_on, bank_on, ledger_count, psp_count"
)
DIFFERENCE_COLUMNS = (
    "leg, provider, account, class, status, key, sign, currency, other_currency, amount_minor, ledger_amount_minor,"
    " psp_amount_minor, bank_amount_minor, base_on, grace_until, opened_on, rule, rule_version"
)


def output_hashes(connection: Connection, schema: str) -> dict[str, str]:
    """Return one hash for the matches and one for the differences: SHA-256 over the sorted SHA-256 of each row."""
    assert schema.isidentifier(), schema
    return {
        "differences_sha256": _table_hash(connection, f"{schema}.fct_differences", DIFFERENCE_COLUMNS),
        "matches_sha256": _table_hash(connection, f"{schema}.fct_matches", MATCH_COLUMNS),
    }


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


def _table_hash(connection: Connection, table: str, columns: str) -> str:
    found: str = connection.execute(text(_TABLE_HASH.format(table=table, columns=columns))).scalar_one()
    return found


_TABLE_HASH = """
select encode(sha256(coalesce(string_agg(hashed.digest, ''::bytea order by hashed.digest), ''::bytea)), 'hex')
from (select sha256(convert_to(row({columns})::text, 'UTF8')) as digest from {table}) as hashed
"""
