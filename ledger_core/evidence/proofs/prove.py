"""Proofs of what the log holds: one entry's, and the signed bundle that answers `POST /finance/verify`.

Judged by the auditors' own code (`log.verify_proof`) over what the database holds, so that an answer of ours and an
offline verification of the same bundle cannot differ. Not a check of the whole database: that is `checker.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection, text

from ledger_core.actor import Actor
from ledger_core.book.security_events import FAILED
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput, NotFound, SignatureLate
from ledger_core.evidence.proofs.bundle import BuiltBundle, build_bundle, hold_against_proxy
from ledger_core.evidence.proofs.rows import compare_rows
from ledger_core.evidence.proofs.segment import verify_segment
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import PROOF_TYPE
from ledger_core.log.findings import UNSIGNED_PENDING, UNVERIFIABLE, Failure, VerificationReport
from ledger_core.log.keys import TrustFile
from ledger_core.log.note import encode_base64
from ledger_core.log.proof import TlogProof
from ledger_core.log.record import format_time
from ledger_core.log.registries import Registries
from ledger_core.log.verify_proof import verify_bundle
from ledger_core.ports import Ask, RecordDraft
from ledger_core.reading.heads import read_head

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_SELECTED = 1_000
"""Records of one bundle; whoever wants more wants a segment and the offline verifier."""
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
"""What the signing proxy takes, in base64 twice over."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EVENT_FAILURES = 10
"""Failures that a `security_event` record lists; the rest is counted."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification came to: `verified`, `failed`, or why it cannot tell; `envelope` is the signed evidence."""

    verdict: str
    failures: list[dict[str, Any]]
    payload: dict[str, Any]
    envelope: dict[str, Any]


def entry_proof(runtime: Runtime, book: str, entry_id: str) -> Proof:
    """Return the proof that the entry of that id (or `external_id`) stands in the signed log.

    Raises `NotFound` for an entry that was never recorded, `SignatureLate` for one that waits for its signature, and
    `IntegrityError` when what is stored cannot be proved.
    """
    with runtime.engine.connect() as connection:
        seq = _seq_of(connection, book, entry_id)
        built = build_bundle(runtime, connection, book, [seq])
    if built.pending:
        raise SignatureLate(f"entry {entry_id} waits for its signature.", remedy="Ask again.")
    report = _judged(runtime, built)
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

    `selector` is one of `{"entry_ids": [...]}`, `{"seq_range": (first, next)}`, `{"segment": number}`; `deep` compares
    every stored row of the records with its bytes. A failed verification is an answer, and appends a `security_event`
    record. Raises `NotFound` for what was never recorded, `InvalidInput` for a checkpoint that is not of this log.
    """
    rows: list[dict[str, Any]] = []
    extra: dict[str, Any] = {}
    with runtime.engine.connect() as connection:
        seqs = _selected(connection, book, selector)
        built = build_bundle(runtime, connection, book, seqs, known_checkpoint=known_checkpoint)
        report = _judged(runtime, built)
        _require_proved(report, selector)
        for failure in hold_against_proxy(runtime, connection, book):
            report.add(failure)
        if "segment" in selector:
            extra["segment"] = verify_segment(runtime, connection, book, selector["segment"], built.ring, report)
        if deep:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            rows, differing = compare_rows(driver, book, built.bundle.records)
            for failure in differing:
                report.add(failure)
    verdict = "failed" if report.exit_status == 1 else report.verdict
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in selector.items()}
    if verdict == "failed":
        extra["security_event"] = _raise_alarm(runtime, book, shown, report, actor)
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


def _selected(connection: Connection, book: str, selector: dict[str, Any]) -> Sequence[int]:
    """Return the seqs to prove, none for a segment."""
    if "entry_ids" in selector:
        seqs = set()
        for index, entry_id in enumerate(selector["entry_ids"]):
            seqs.add(_seq_of(connection, book, entry_id, pointer=f"/selector/entry_ids/{index}"))
        return _limited(sorted(seqs))
    if "seq_range" in selector:
        first, following = selector["seq_range"]
        size = read_head(connection, book).size
        if not 0 <= first < following <= size:
            raise NotFound(f"book {book} has {size} records.", pointer="/selector/seq_range/next")
        return _limited(range(first, following))
    if "segment" in selector:
        return ()
    raise InvalidInput("name entry_ids, a seq_range or a segment.", pointer="/selector")


def _seq_of(connection: Connection, book: str, entry_id: str, *, pointer: str | None = None) -> int:
    """Return where the entry of that id, else of that `external_id`, stands; its record is not read here."""
    given = {"book": book, "id": entry_id}
    if _UUID.fullmatch(entry_id):
        query = text("select seq from ledger.entries where book = :book and id = cast(:id as uuid)")
        found = connection.execute(query, given).scalar_one_or_none()
        if found is not None:
            return int(found)
    query = text("select seq from ledger.entries where book = :book and external_id = :id")
    found = connection.execute(query, given).scalar_one_or_none()
    if found is None:
        raise NotFound(f"there is no entry {entry_id} in book {book}.", pointer=pointer)
    return int(found)


def _limited(seqs: Sequence[int]) -> Sequence[int]:
    if len(seqs) > MAX_SELECTED:
        raise InvalidInput(
            f"{len(seqs):,} records; {MAX_SELECTED:,} are the most of one bundle.",
            pointer="/selector",
            remedy="Ask for a segment, or verify the export offline.",
        )
    return seqs


def _judged(runtime: Runtime, built: BuiltBundle) -> VerificationReport:
    """Return the offline verifier's word on the bundle, with what could not even be built."""
    report = VerificationReport(path="proof")
    for failure in built.failures:
        report.add(failure)
    registries = Registries(TrustFile.load(runtime.trust_path))
    verify_bundle(built.bundle, None, registries, report, shapes=runtime.kinds.shapes)
    for seq in built.pending:
        detail = f"the newest checkpoint covers {built.size} records"
        report.add(Failure(verdict=UNSIGNED_PENDING, seq=seq, where="proof", detail=detail))
    return report


def _require_proved(report: VerificationReport, selector: dict[str, Any]) -> None:
    """Nothing proved is no verdict: a segment is judged against its archive, anything else by its records."""
    if "segment" not in selector and not report.proofs and not report.failures:
        detail = "no record was asked for, and none is proved"
        report.add(Failure(verdict=UNVERIFIABLE, seq=None, where="proof", detail=detail))


def _raise_alarm(
    runtime: Runtime, book: str, selector: dict[str, Any], report: VerificationReport, actor: Actor | None
) -> dict[str, Any]:
    """Append a `security_event`; the same failure of the same question is one event, however often it is asked.

    A log that is broken may not take the record; the answer then says so.
    """
    body = {
        "event": "verification_failed",
        "failures": [asdict(failure) for failure in report.failures[:EVENT_FAILURES]],
        "failures_total": len(report.failures) + report.suppressed,
        "selector_sha256": sha256(canonical_bytes(selector)).hexdigest(),
    }
    key = f"verification/{sha256(canonical_bytes(body)).hexdigest()}"
    try:
        ask = Ask(actor=actor or Actor(subject=runtime.settings.actor), key=key)
        answer = runtime.ledger(book).append([RecordDraft(kind="security_event", body=body)], ask, atomic=True)
    except (DependencyError, IntegrityError) as error:
        runtime.security.keep(book, FAILED, runtime.settings.origin_of(book), "not_recorded", _first_of(report))
        return {"recorded": False, "reason": str(error)}
    if answer.replayed:
        # The first time is a record with all that was found; how often it was found again is counted by the minute.
        runtime.security.keep(book, FAILED, runtime.settings.origin_of(book), "again", _first_of(report))
    return {"recorded": True, "seq": answer.only.seq}


def _first_of(report: VerificationReport) -> str:
    return str(report.failures[0]) if report.failures else report.verdict
