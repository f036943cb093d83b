"""Read a signed verification report back: whose word it is, and what it says.

The company's bears the signature of a key that the registry lets sign its log at the checkpoint which the report
carries; an auditor's that of the key which the caller names. What it says can only make it worse: a report of a failure
is no success, however well it is signed. That it says `verified` proves who says so, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger_core.errors import CounterfoilError, InvalidInput
from ledger_core.log.doubts import note_signers
from ledger_core.log.dsse import REPORT_TYPE, Envelope, parse_envelope, verify_envelope
from ledger_core.log.findings import (
    BAD_SIGNATURE,
    FORKED,
    REPORT_SCHEMA,
    UNVERIFIABLE,
    Failure,
    SignedReport,
    VerificationReport,
)
from ledger_core.log.note import PublicKey
from ledger_core.log.proof import Stated, object_of, parse_stated, text_of
from ledger_core.log.reading import load_json
from ledger_core.log.registries import Registries
from ledger_core.log.registry import parse_registry
from ledger_core.log.verify_proof import read_signed, take_keys, take_stated

WORD = "a signed report shows who says this, not that it is so: whoever must rely on it verifies what it speaks of"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The payload of an envelope, read: the company's has `origin`, `checkpoint` and `key_registry` too."""

    told: SignedReport
    stated: Stated
    origin: str | None
    checkpoint: str | None
    keys: tuple[Envelope, ...]


def verify_company_report(envelope: Envelope, registries: Registries, report: VerificationReport) -> None:
    """Add to `report` what is wrong with a report that the company signed, or what it says."""
    said = _read(envelope, report)
    if said is None:
        return None
    if said.origin is None or said.checkpoint is None:
        detail = "no company signed this report: name the auditor's public key with --signed-by"
        return _fail(report, UNVERIFIABLE, detail)
    if not take_keys(said.keys, registries, report):
        return None
    ring = registries.newest
    signed = read_signed(said.checkpoint, registries.trust, ring, report)
    if ring is None or signed is None:
        return None
    checkpoint = signed.checkpoint
    if said.origin != checkpoint.origin:
        return _fail(report, FORKED, f"a report of {said.origin} with a checkpoint of {checkpoint.origin}")
    if said.told.origins and said.origin not in said.told.origins:
        return _fail(report, FORKED, f"a report on {', '.join(said.told.origins)} in the name of {said.origin}")
    if signed.judgement.verdict is not None:
        return _fail(report, signed.judgement.verdict, f"the checkpoint: {signed.judgement.detail}")
    # Without the root: a stolen key's word counts nowhere, whichever tree it is said of.
    judgement = ring.judge_envelope(envelope, checkpoint.origin, checkpoint.size)
    if judgement.verdict is not None:
        return _fail(report, judgement.verdict, judgement.detail)
    note_signers(report, judgement.signers)
    return _take(said, "registry", [item.key.key_id for item in judgement.signers], report)


def verify_auditor_report(
    envelope: Envelope, key: PublicKey, report: VerificationReport, *, company_keys: Collection[str] = ()
) -> None:
    """Add to `report` what is wrong with a report that the holder of `key` signed, or what it says.

    No auditor's key is one of `company_keys`, nor of the registry that the report itself carries.
    """
    if envelope.payload_type != REPORT_TYPE:
        return _fail(report, BAD_SIGNATURE, f"the envelope is of type {envelope.payload_type}")
    signers = verify_envelope(envelope, [key])
    if not signers:
        return _fail(report, BAD_SIGNATURE, f"the key {key.key_id} did not sign this")
    said = _read(envelope, report)
    if said is None:
        return None
    if key.key_id in company_keys or key.key_id in _listed_keys(said.keys):
        detail = f"the key {key.key_id} is one of the company's, and no auditor's: read it without --signed-by"
        return _fail(report, UNVERIFIABLE, detail)
    return _take(said, "named_key", signers, report)


def _listed_keys(registry: Sequence[Envelope]) -> set[str]:
    """Return the ids of the keys and roots in the documents of `registry`, whoever signed them."""
    found: set[str] = set()
    for envelope in registry:
        try:
            document = parse_registry(envelope.payload)
        except CounterfoilError:
            continue
        found |= {key.key_id for key in document.roots} | {item.key.key_id for item in document.keys}
    return found


def _take(said: _Said, signed_by: str, keys: list[str], report: VerificationReport) -> None:
    report.signed_report = replace(said.told, signed_by=signed_by, keys=tuple(keys))
    report.notes.append(WORD)
    take_stated(said.stated, report, what="report")


def _read(envelope: Envelope, report: VerificationReport) -> _Said | None:
    try:
        value = load_json(envelope.payload)
        if not isinstance(value, dict) or value.get("schema") != REPORT_SCHEMA:
            raise InvalidInput(f"it is not of schema {REPORT_SCHEMA}")
        if value.get("signed_report") is not None:
            raise InvalidInput("it tells what another signed report says, and nothing was verified for it")
        return _parse(value)
    except (CounterfoilError, ValueError, TypeError, KeyError, AttributeError) as error:
        _fail(report, UNVERIFIABLE, f"the envelope holds no report: {error}")
        return None


def _parse(value: Mapping[str, Any]) -> _Said:
    software = value["software"]
    told = SignedReport(
        signed_by="",
        keys=(),
        verdict=text_of(value["verdict"]),
        path=text_of(value["path"]),
        verified_at=text_of(value["verified_at"]),
        software=f"{text_of(software['name'])} {text_of(software['version'])}",
        origins=tuple(text_of(item) for item in value["origins"]),
        size=_count(value["size"]),
        root=None if value["root"] is None else text_of(value["root"]),
    )
    origin, checkpoint, keys = value.get("origin"), value.get("checkpoint"), value.get("key_registry")
    is_companys = origin is not None and checkpoint is not None
    return _Said(
        told=told,
        stated=parse_stated(value),
        origin=text_of(origin) if is_companys else None,
        checkpoint=text_of(checkpoint) if is_companys else None,
        keys=() if keys is None else tuple(parse_envelope(object_of(item)) for item in keys),
    )


def _count(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise TypeError(f"{value!r:.40} is not a size")
    return value


def _fail(report: VerificationReport, verdict: str, detail: str) -> None:
    report.add(Failure(verdict=verdict, seq=None, where=report.path, detail=detail))
