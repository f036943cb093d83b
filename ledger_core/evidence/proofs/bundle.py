"""A proof bundle out of the database: bytes, paths, the newest checkpoint, the keys.

Nothing here judges. What cannot be built because something is gone becomes a `Failure` beside the bundle, so that
damage is evidence and never a traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, SignatureLate
from ledger_core.evidence.keyring import is_doubtful, read_checkpoint, resolve_pinned
from ledger_core.evidence.proofs.stamp import stamped_tree
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.findings import EDITED, MISSING, TRUNCATED, Failure
from ledger_core.log.keys import KeyRing
from ledger_core.log.merkle import NodeReader, consistency_path, inclusion_path
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.proof import Consistency, ProofBundle, ProvedRecord
from ledger_core.log.record import MAX_RECORD_BYTES
from ledger_core.reading.heads import StoredCheckpoint, latest_checkpoint, read_head
from ledger_core.reading.tiles import node_reader

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_RECORDS_BYTES = 11 * 1024 * 1024
"""Of the records of one bundle, so that in base64 twice over, paths included, the signing proxy takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBundle:
    """A bundle, the tree size it is under, which seqs wait for a signature, and what could not be built."""

    bundle: ProofBundle
    ring: KeyRing
    size: int
    pending: tuple[int, ...]
    failures: tuple[Failure, ...]


def build_bundle(
    runtime: Runtime,
    connection: Connection,
    book: str,
    seqs: Sequence[int],
    *,
    known_checkpoint: str | None = None,
    is_stamped: bool = False,
) -> BuiltBundle:
    """Return the proofs of `seqs` under the newest stored checkpoint, and the one from `known_checkpoint` on.

    One that `is_stamped` has the time-stamp of an exported tree that holds them, where the archive has one.

    Raises `SignatureLate` while nothing is signed, `InvalidInput` for a known checkpoint that is none of this log's,
    and for more bytes than a bundle holds, before any is read.
    """
    origin = runtime.settings.origin_of(book)
    registry = runtime.signer.keys()
    ring = resolve_pinned(runtime.trust_path, origin, registry)
    stored = latest_checkpoint(connection, book)
    if stored is None:
        raise SignatureLate(f"book {book} has no signed checkpoint yet.", remedy="Ask again.")
    failures = _contradictions(stored)
    reader = node_reader(connection, book, stored.size)
    records = _records(connection, book, [seq for seq in seqs if seq < stored.size], stored.size, reader, failures)
    consistency: tuple[Consistency, ...] = ()
    if known_checkpoint is not None:
        consistency = _consistency(known_checkpoint, ring, origin, stored.size, reader, failures)
    if is_stamped:
        proved = [record.seq for record in records]
        stamp = stamped_tree(runtime, connection, book, ring, proved, stored.size, reader)
        consistency += () if stamp is None else (stamp,)
    bundle = ProofBundle(
        origin=origin,
        checkpoint=stored.note,
        records=tuple(records),
        keys=tuple(parse_envelope(envelope) for envelope in registry),
        consistency=consistency,
        assurance=_assurance(ring, stored.note),
    )
    pending = [seq for seq in seqs if seq >= stored.size]
    if pending:
        size = read_head(connection, book).size
        detail = f"a row says that a record stands there, and the log has {size}"
        failures += [_failure(EDITED, seq, "ledger.entries", detail) for seq in pending if seq >= size]
        pending = [seq for seq in pending if seq < size]
    return BuiltBundle(bundle=bundle, ring=ring, size=stored.size, pending=tuple(pending), failures=tuple(failures))


def _records(
    connection: Connection,
    book: str,
    seqs: Sequence[int],
    size: int,
    reader: NodeReader,
    failures: list[Failure],
) -> list[ProvedRecord]:
    given = {"book": book, "seqs": list(seqs)}
    if len(seqs) * MAX_RECORD_BYTES > MAX_RECORDS_BYTES:
        _require_small(connection, given)
    query = text("select seq, canonical from ledger.records where book = :book and seq = any(:seqs)")
    rows = connection.execute(query, given)
    stored = {row.seq: bytes(row.canonical) for row in rows}
    found = []
    for seq in seqs:
        if seq not in stored:
            failures.append(_failure(MISSING, seq, "ledger.records", "the record is gone"))
            continue
        try:
            path = inclusion_path(seq, size, reader)
        except IntegrityError as error:
            failures.append(_failure(MISSING, seq, "ledger.tiles", error.message))
            continue
        found.append(ProvedRecord(seq=seq, canonical=stored[seq], inclusion=tuple(path)))
    return found


def _contradictions(stored: StoredCheckpoint) -> list[Failure]:
    """Hold the row against its own note, which alone counts; a note that is none is the verifier's to name."""
    try:
        said = parse_checkpoint(parse_note(stored.note).text)
    except CounterfoilError:
        return []
    if (said.size, said.root) == (stored.size, stored.root):
        return []
    detail = (
        f"the row says size {stored.size} and root {stored.root.hex()}, "
        f"its note size {said.size} and root {said.root.hex()}"
    )
    return [_failure(EDITED, None, "ledger.checkpoints", detail)]


def _require_small(connection: Connection, given: dict[str, Any]) -> None:
    query = text("select sum(octet_length(canonical)) from ledger.records where book = :book and seq = any(:seqs)")
    total = connection.execute(query, given).scalar() or 0
    if total > MAX_RECORDS_BYTES:
        raise InvalidInput(
            f"the records have {total:,} bytes, and {MAX_RECORDS_BYTES:,} are the most of one bundle.",
            pointer="/selector",
            remedy="Ask for fewer records.",
        )


def _consistency(
    note: str, ring: KeyRing, origin: str, size: int, reader: NodeReader, failures: list[Failure]
) -> tuple[Consistency, ...]:
    """Return the proof from the caller's checkpoint to ours; one larger than ours shows that our end was cut off."""
    try:
        known, why_not = read_checkpoint(ring, note, origin)
    except InvalidInput as error:
        raise InvalidInput(error.message, pointer="/known_checkpoint", remedy=error.remedy) from error
    # Of one that a compromised key signed, the proof itself shows whether its tree is ours.
    if why_not and not (known.origin == origin and is_doubtful(ring, note)):
        raise InvalidInput(
            f"the known checkpoint is not one of this log: {why_not}.",
            pointer="/known_checkpoint",
            remedy="Give a signed note as this log answered it.",
        )
    if known.size > size:
        detail = f"a checkpoint of size {known.size} was signed, the newest here is of size {size}"
        failures.append(_failure(TRUNCATED, size, "ledger.checkpoints", detail))
        return ()
    try:
        path = consistency_path(known.size, size, reader)
    except IntegrityError as error:
        failures.append(_failure(MISSING, None, "ledger.tiles", error.message))
        return ()
    return (Consistency(checkpoint=note, path=tuple(path)),)


def hold_against_proxy(runtime: Runtime, connection: Connection, book: str) -> list[Failure]:
    """Say when the signing proxy signed more than the database holds. Asked in this order, a healthy log never lags."""
    note = runtime.signer.latest(runtime.settings.origin_of(book))
    connection.rollback()
    size = read_head(connection, book).size
    signed = parse_checkpoint(parse_note(note).text).size if note else 0
    if signed <= size:
        return []
    detail = f"the signing proxy signed {signed} records, the database holds {size}"
    return [_failure(TRUNCATED, size, "ledger.records", detail)]


def _assurance(ring: KeyRing, note: str) -> str:
    try:
        signed = parse_note(note)
        judgement = ring.judge_checkpoint(signed, parse_checkpoint(signed.text))
    except CounterfoilError:
        return ""
    return ",".join(sorted({key.assurance for key in judgement.signers}))


def _failure(verdict: str, seq: int | None, where: str, detail: str) -> Failure:
    return Failure(verdict=verdict, seq=seq, where=where, detail=detail)
