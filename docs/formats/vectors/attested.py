"""Signed verification reports: the company's, an auditor's, and what is neither."""

from __future__ import annotations

import json
from typing import Any

from company import KEY, ORIGIN, REGISTRY, SIZE, THIEF, TRUST, FixedKey, envelope, lines, note

from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE
from ledger_core.log.findings import Failure, TrustUsed, VerificationReport
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import checkpoint_text, encode_base64

AUDITOR = FixedKey(1_004)


def reports() -> dict[str, Any]:
    """Each envelope, and the verdict of whoever reads it back with the trust file, or with the auditor's key."""
    sound = payload()
    company = envelope(REPORT_TYPE, dumped({**sound, **beside(SIZE)}), KEY)
    altered = {**company.as_json(), "payload": encode_base64(company.payload.replace(b'"records":13', b'"records":14'))}
    failed = payload(Failure(verdict="edited", seq=3, where="shown", detail="the bytes are not those that were signed"))
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("as the company signs it", company.as_json(), "verified"),
        ("of a failure", envelope(REPORT_TYPE, dumped({**failed, **beside(SIZE)}), KEY).as_json(), "edited"),
        ("at an older checkpoint", envelope(REPORT_TYPE, dumped({**sound, **beside(5)}), KEY).as_json(), "verified"),
        ("another payload", altered, "bad_signature"),
        ("by a key that is in no registry", envelope(REPORT_TYPE, company.payload, THIEF).as_json(), "bad_signature"),
        ("of another type", envelope(PROOF_TYPE, company.payload, KEY).as_json(), "unverifiable"),
        (
            "in another log's name",
            envelope(REPORT_TYPE, dumped({**sound, **beside(SIZE), "origin": f"{ORIGIN}-other"}), KEY).as_json(),
            "forked",
        ),
        ("without a checkpoint", envelope(REPORT_TYPE, dumped(sound), KEY).as_json(), "unverifiable"),
        (
            "of another schema",
            envelope(REPORT_TYPE, dumped({**sound, **beside(SIZE), "schema": "cf-report/2"}), KEY).as_json(),
            "unverifiable",
        ),
    ]
    auditors = envelope(REPORT_TYPE, dumped(sound), AUDITOR)
    by_auditor: list[tuple[str, dict[str, Any], str]] = [
        ("as the auditor signs it", auditors.as_json(), "verified"),
        ("of a failure, by the auditor", envelope(REPORT_TYPE, dumped(failed), AUDITOR).as_json(), "edited"),
        ("the company's", company.as_json(), "bad_signature"),
        ("of another type, by the auditor", envelope(PROOF_TYPE, dumped(sound), AUDITOR).as_json(), "bad_signature"),
    ]
    return {
        "origin": ORIGIN,
        "trust": TRUST.as_json(),
        "auditor_spki": encode_base64(AUDITOR.public_key.spki),
        "company": [{"what": what, "envelope": item, "verdict": verdict} for what, item, verdict in cases],
        "auditors": [{"what": what, "envelope": item, "verdict": verdict} for what, item, verdict in by_auditor],
    }


def beside(size: int) -> dict[str, Any]:
    """Return what a company says beside its report, at the checkpoint of `size`."""
    root = Frontier().extend(leaf_hash(line) for line in lines()[:size]).root()
    return {
        "origin": ORIGIN,
        "checkpoint": note(checkpoint_text(ORIGIN, size, root), KEY),
        "key_registry": [REGISTRY.as_json()],
    }


def payload(*failures: Failure) -> dict[str, Any]:
    """Return a report of the whole log."""
    report = VerificationReport(
        path="shown",
        failures=list(failures),
        origins=[ORIGIN],
        segments=1,
        records=SIZE,
        size=SIZE,
        root=encode_base64(Frontier().extend(leaf_hash(line) for line in lines()).root()),
        verified_at="2026-02-01T08:00:00Z",
        trust=TrustUsed(
            file="trust.json",
            origin=TRUST.origin,
            threshold=TRUST.threshold,
            roots=tuple(key.key_id for key in TRUST.roots),
        ),
    )
    return {**report.as_json(), "software": {"name": "counterfoil", "version": "vectors"}}


def dumped(document: dict[str, Any]) -> bytes:
    """Return the bytes that are signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
