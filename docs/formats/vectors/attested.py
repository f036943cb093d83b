"""Signed verification reports: the company's, an auditor's, and what is neither."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from change import SECOND, THIRD, stolen_registry
from company import KEY, ORIGIN, REGISTRY, ROOT, SIZE, START, THIEF, TRUST, FixedKey, envelope, lines, note

from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, Envelope
from ledger_core.log.findings import Failure, SignedReport, TrustUsed, VerificationReport
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import checkpoint_text, encode_base64
from ledger_core.signing.bootstrap import first_registry

AUDITOR = FixedKey(1_009)
AUDITORS_REGISTRY = first_registry(AUDITOR, ROOT, "vectors.example/test/*", START)
"""Of a company whose key the auditor's would be."""


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
        (
            "on another log alone",
            envelope(REPORT_TYPE, dumped({**sound, **beside(SIZE), "origins": [f"{ORIGIN}-other"]}), KEY).as_json(),
            "forked",
        ),
        (
            "on a signed report",
            envelope(REPORT_TYPE, dumped({**second_hand(), **beside(SIZE)}), KEY).as_json(),
            "unverifiable",
        ),
        ("at a checkpoint of a stolen key", at_a_stolen_keys_checkpoint(sound).as_json(), "key_not_valid_at_size"),
    ]
    auditors = envelope(REPORT_TYPE, dumped(sound), AUDITOR)
    by_auditor: list[tuple[str, dict[str, Any], str]] = [
        ("as the auditor signs it", auditors.as_json(), "verified"),
        ("of a failure, by the auditor", envelope(REPORT_TYPE, dumped(failed), AUDITOR).as_json(), "edited"),
        ("the company's", company.as_json(), "bad_signature"),
        ("of another type, by the auditor", envelope(PROOF_TYPE, dumped(sound), AUDITOR).as_json(), "bad_signature"),
        (
            "on a signed report, by the auditor",
            envelope(REPORT_TYPE, dumped(second_hand()), AUDITOR).as_json(),
            "unverifiable",
        ),
        (
            "by a key of the registry that it carries",
            envelope(REPORT_TYPE, dumped({**sound, "key_registry": [AUDITORS_REGISTRY.as_json()]}), AUDITOR).as_json(),
            "unverifiable",
        ),
    ]
    return {
        "origin": ORIGIN,
        "trust": TRUST.as_json(),
        "auditor_spki": encode_base64(AUDITOR.public_key.spki),
        "company": [{"what": what, "envelope": item, "verdict": verdict} for what, item, verdict in cases],
        "auditors": [{"what": what, "envelope": item, "verdict": verdict} for what, item, verdict in by_auditor],
    }


def beside(size: int, key: FixedKey = KEY, registry: Sequence[Envelope] = (REGISTRY,)) -> dict[str, Any]:
    """Return what a company says beside its report, at the checkpoint of `size` that `key` signed."""
    root = Frontier().extend(leaf_hash(line) for line in lines()[:size]).root()
    return {
        "origin": ORIGIN,
        "checkpoint": note(checkpoint_text(ORIGIN, size, root), key),
        "key_registry": [item.as_json() for item in registry],
    }


def at_a_stolen_keys_checkpoint(sound: dict[str, Any]) -> Envelope:
    """Return a report that the key of today signed, beside a checkpoint of the one that was stolen."""
    return envelope(REPORT_TYPE, dumped({**sound, **beside(SIZE, SECOND, stolen_registry())}), THIRD)


def second_hand() -> dict[str, Any]:
    """Return a report on an auditor's signed report."""
    told = SignedReport(
        signed_by="named_key",
        keys=(AUDITOR.public_key.key_id,),
        verdict="verified",
        path="shown",
        verified_at="2026-02-01T08:00:00Z",
        software="counterfoil vectors",
        origins=(ORIGIN,),
        size=SIZE,
        root=payload()["root"],
    )
    return {**payload(), "signed_report": asdict(told)}


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
