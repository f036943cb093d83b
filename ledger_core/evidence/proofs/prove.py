"""Proofs of what the log holds: one entry's, and the signed bundle that answers `POST /finance/verify`.

Judged by the auditors' own code (`log.verify_proof`) over what the database holds, so that an answer of ours and an
offline verification of the same bundle cannot differ. Not a check of the whole database: that is `checker.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from ledger_core.actor import Actor
from ledger_core.errors import IntegrityError, InvalidInput, NotFound, SignatureLate
from ledger_core.evidence.proofs.alarm import raise_alarm
from ledger_core.evidence.proofs.bundle import BuiltBundle, build_bundle, hold_against_proxy
from ledger_core.evidence.proofs.rows import compare_rows
from ledger_core.evidence.proofs.segment import verify_segment
from ledger_core.evidence.proofs.selection import MAX_SELECTED, Period, Selected, misled, select, select_entries
from ledger_core.log.dsse import PROOF_TYPE
from ledger_core.log.findings import MISSING, UNSIGNED_PENDING, UNVERIFIABLE, Failure, VerificationReport
from ledger_core.log.keys import TrustFile
from ledger_core.log.note import encode_base64
from ledger_core.log.proof import Opening, ProofBundle, TlogProof
from ledger_core.log.record import format_time
from ledger_core.log.registries import Registries
from ledger_core.log.verify_proof import verify_bundle
from ledger_core.reading.private import read_erased, read_held

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

__all__ = ["MAX_SELECTED", "Period", "Proof", "Verification", "entry_proof", "verify_selection"]

MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
"""What the signing proxy takes, in base64 twice over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One entry's proof in both forms: the C2SP tlog-proof text, and the JSON bundle with bytes and keys."""

    entry_id: str
    seq: int
    leaf_hash: bytes
    checkpoint: str
    inclusion: tuple[str, ...]
    """The audit path in base64, leaf to root."""
    tlog_proof: str
    bundle: dict[str, Any]

    @property
    def bundle_text(self) -> str:
        """The bundle as the file that `counterfoil verify` takes."""
        return json.dumps(self.bundle, indent=2) + "\n"

    @property
    def keys_text(self) -> str:
        """The key registry as the `keys.jsonl` that lies beside a tlog-proof."""
        return "".join(json.dumps(envelope, separators=(",", ":")) + "\n" for envelope in self.bundle["keys"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification came to: `verified`, `failed`, or why it cannot tell; `envelope` is the signed evidence."""

    verdict: str
    failures: list[dict[str, Any]]
    payload: dict[str, Any]
    envelope: dict[str, Any]


def entry_proof(runtime: Runtime, book: str, entry_id: str, *, opened: Sequence[str] = ()) -> Proof:
    """Return the proof that the entry of that id (or `external_id`) stands in the signed log.

    The bundle shows the private values that `opened` names, with what opens the commitments to them.
    Raises `NotFound` for an entry that was never recorded or a value that is not held, `SignatureLate` for one that
    waits for its signature, and `IntegrityError` when what is stored cannot be proved.
    """
    with runtime.engine.connect() as connection:
        selected = select_entries(connection, book, [entry_id])
        (seq,) = selected.seqs
        built = build_bundle(runtime, connection, book, [seq])
        if opened and built.bundle.records:
            built = replace(built, bundle=_with_openings(runtime, connection, book, built.bundle, opened))
    if built.pending:
        raise SignatureLate(f"entry {entry_id} waits for its signature.", remedy="Ask again.")
    report = _judged(runtime, built, selected)
    if report.failures:
        raise IntegrityError(
            f"entry {entry_id} cannot be proved: {report.failures[0]}.",
            remedy="Run `counterfoil check`; see docs/runbooks/failed-check.md.",
            seq=seq,
        )
    record = built.bundle.records[0]
    checkpoint = built.bundle.checkpoint
    return Proof(
        entry_id=entry_id,
        seq=record.seq,
        leaf_hash=record.leaf_hash,
        checkpoint=checkpoint,
        inclusion=tuple(encode_base64(item) for item in record.inclusion),
        tlog_proof=str(
            TlogProof(index=record.seq, path=record.inclusion, checkpoint=checkpoint, extra=record.canonical)
        ),
        bundle=built.bundle.as_json(),
    )


def _with_openings(
    runtime: Runtime, connection: Connection, book: str, bundle: ProofBundle, names: Sequence[str]
) -> ProofBundle:
    """Return `bundle` with the openings of its one record.

    Raises `NotFound` for a value that is not held, `LedgerBehind` where it may be erased in what the database lacks.
    """
    (record,) = bundle.records
    if (why := runtime.withheld(book)) is not None:
        raise why
    driver: Any = connection.connection.driver_connection
    held = read_held(driver, book, [record.seq]).get(record.seq, {})
    gone = read_erased(driver, book, [record.seq]).get(record.seq, {})
    openings = {}
    for name in names:
        item = held.get(name)
        if item is None or item.value is None or name in gone:
            raise NotFound(
                f"no private value {name} of the entry is held.", remedy="`counterfoil entry` shows what is."
            )
        openings[name] = Opening(salt=item.salt, value=item.value)
    return replace(bundle, records=(replace(record, openings=openings),))


def verify_selection(
    runtime: Runtime,
    book: str,
    *,
    selector: dict[str, Any],
    known_checkpoint: str | None = None,
    include_bytes: bool = True,
    deep: bool = False,
    actor: Actor | None = None,
) -> Verification:
    """Prove what `selector` names, from the caller's own checkpoint on if one is given, and sign the evidence.

    `selector` is one of `{"entry_ids": [...]}`, `{"seq_range": (first, next)}`, `{"period": Period}`, `{"segment":
    number}`. Each record's own row is held against its bytes; `deep` does so with every stored row derived from
    them. A failed verification is an answer, and appends a `security_event` record. Raises `NotFound` for what was
    never recorded, `InvalidInput` for a checkpoint that is not of this log.
    """
    # Kept whatever comes of it: beside ours it is the evidence of a fork, or of an end that was cut off.
    extra: dict[str, Any] = {} if known_checkpoint is None else {"known_checkpoint": known_checkpoint}
    with runtime.engine.connect() as connection:
        selected, gone = _select(connection, book, selector)
        built = build_bundle(
            runtime, connection, book, selected.seqs, known_checkpoint=known_checkpoint, is_stamped=True
        )
        report = _judged(runtime, built, selected)
        for failure in gone:
            report.add(failure)
        if selected.nothing is not None and not report.failures:
            raise selected.nothing
        _require_proved(report, selector)
        for failure in hold_against_proxy(runtime, connection, book):
            report.add(failure)
        if "segment" in selector:
            extra["segment"] = verify_segment(runtime, connection, book, selector["segment"], built.ring, report)
    rows, differing = compare_rows(runtime, book, built.bundle.records, deep=deep)
    for failure in differing:
        report.add(failure)
    verdict = "failed" if report.exit_status == 1 else report.verdict
    shown = {name: _shown(value) for name, value in selector.items()}
    if verdict == "failed":
        extra["security_event"] = raise_alarm(runtime, book, shown, report, actor)
    document = built.bundle.as_json()
    if not include_bytes:
        for record in document["records"]:
            del record["canonical"]
    payload = {
        **document,
        **extra,
        "verdict": verdict,
        "checked_at": format_time(runtime.clock()),
        "selector": shown,
        "deep": deep,
        "rows": rows,
        "failures": [asdict(failure) for failure in report.failures],
        "failures_not_listed": report.suppressed,
    }
    data = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_PAYLOAD_BYTES:
        raise InvalidInput(
            f"the bundle would have {len(data):,} bytes.", pointer="/selector", remedy="Ask for fewer records."
        )
    return Verification(
        verdict=verdict,
        failures=payload["failures"],
        payload=payload,
        envelope=runtime.signer.sign_dsse(PROOF_TYPE, data),
    )


def _select(connection: Connection, book: str, selector: dict[str, Any]) -> tuple[Selected, list[Failure]]:
    """Return what is to be proved; damage on the way to it is evidence."""
    try:
        return select(connection, book, selector), []
    except IntegrityError as error:
        gone = Failure(
            verdict=error.context.get("verdict", MISSING),
            seq=error.context.get("seq"),
            where="ledger.records",
            detail=error.message,
        )
        return Selected(seqs=()), [gone]


def _shown(value: Any) -> Any:
    """Return a selector's value as it stands in JSON."""
    if isinstance(value, Period):
        return value.as_json()
    return list(value) if isinstance(value, tuple) else value


def _judged(runtime: Runtime, built: BuiltBundle, selected: Selected) -> VerificationReport:
    """Return the offline verifier's word on the bundle, with what could not even be built or was not asked for."""
    report = VerificationReport(path="proof")
    for failure in built.failures:
        report.add(failure)
    registries = Registries(TrustFile.load(runtime.trust_path))
    verify_bundle(built.bundle, None, registries, report, shapes=runtime.kinds.shapes)
    for failure in misled(selected, built.bundle.records):
        report.add(failure)
    for seq in built.pending:
        detail = f"the newest checkpoint covers {built.size} records"
        report.add(Failure(verdict=UNSIGNED_PENDING, seq=seq, where="proof", detail=detail))
    return report


def _require_proved(report: VerificationReport, selector: dict[str, Any]) -> None:
    """Nothing proved is no verdict: a segment is judged against its archive, anything else by its records."""
    if "segment" not in selector and not report.proofs and not report.failures:
        detail = "no record was asked for, and none is proved"
        report.add(Failure(verdict=UNVERIFIABLE, seq=None, where="proof", detail=detail))
