"""Checkpoints that the caller kept from earlier visits: the log must contain the trees that they commit to.

Only they can show that the end of a log, or all of it, is gone. A note that could not be held against anything is
said to be so: what was asked was not answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger_core.errors import InvalidInput
from ledger_core.log.findings import FORKED, MISSING, TRUNCATED, UNVERIFIABLE, Failure, VerificationReport
from ledger_core.log.keys import KeyRing
from ledger_core.log.merkle import EMPTY_ROOT
from ledger_core.log.note import Checkpoint, SignedNote, parse_checkpoint, parse_note
from ledger_core.log.proof import ProofBundle
from ledger_core.log.segment import Manifest


@dataclass(slots=True, kw_only=True)
class KnownCheckpoint:
    """A checkpoint of an earlier visit; `is_held` once a tree of its size was compared with it."""

    note: SignedNote
    checkpoint: Checkpoint
    is_held: bool = False


def parse_known(given: str | bytes | Sequence[str | bytes] | None) -> list[KnownCheckpoint]:
    """Return the checkpoints in the notes given. Raises `InvalidInput` for what is none, and for two of one log."""
    notes = [given] if isinstance(given, (str, bytes)) else given or ()
    found = []
    for text in notes:
        note = parse_note(text)
        found.append(KnownCheckpoint(note=note, checkpoint=parse_checkpoint(note.text)))
    if len({item.checkpoint.origin for item in found}) != len(found):
        raise InvalidInput("two known checkpoints are of one log.", remedy="Give the larger one of each log.")
    return found


def hold_root(known: KnownCheckpoint, root: bytes, seq: int | None, where: str) -> list[Failure]:
    """Compare the root of the tree of the known size, and say what is wrong."""
    known.is_held = True
    if root == known.checkpoint.root:
        return []
    detail = f"the checkpoint you hold commits to another root at size {known.checkpoint.size}"
    return [Failure(verdict=FORKED, seq=seq, where=where, detail=detail)]


def hold_against_log(
    known: KnownCheckpoint,
    first: Manifest,
    last: Manifest,
    ring: KeyRing | None,
    report: VerificationReport,
) -> None:
    """Say what the checkpoint shows of a log whose records were streamed from `first` to `last`."""
    size, where = known.checkpoint.size, report.path
    if ring is not None and ring.judge_checkpoint(known.note, known.checkpoint).verdict is not None:
        report.notes.append("the checkpoint you hold is signed by no key that counts here: its text alone was compared")
    if size > last.next_seq:
        known.is_held = True
        detail = f"the checkpoint you hold commits to {size} records, the segments end at {last.next_seq}"
        report.add(Failure(verdict=TRUNCATED, seq=last.next_seq, where=where, detail=detail))
    elif size == first.first_seq:
        for failure in hold_root(known, first.before.root(), size, where):
            report.add(failure)
    elif size == 0:
        for failure in hold_root(known, EMPTY_ROOT, 0, where):
            report.add(failure)
    if not known.is_held and not report.failures:
        detail = f"the checkpoint you hold, of size {size}, lies before what was given: nothing was held against it"
        report.add(Failure(verdict=UNVERIFIABLE, seq=None, where=where, detail=detail))


def absent_log(known: KnownCheckpoint, path: str) -> Failure:
    """Return the failure for a checkpoint whose log is not here at all."""
    detail = (
        f"no segment of {known.checkpoint.origin} is here, and you hold its checkpoint of size {known.checkpoint.size}"
    )
    return Failure(verdict=MISSING, seq=0, where=path, detail=detail)


def hold_against_proof(
    known: KnownCheckpoint, checkpoint: Checkpoint, bundle: ProofBundle | None, path: str
) -> Failure | None:
    """Say what the checkpoint shows of a proof under `checkpoint`, whose consistency paths hold; None if it agrees."""
    kept = known.checkpoint
    trees = {(checkpoint.origin, checkpoint.size): checkpoint.root}
    for older in bundle.consistency if bundle else ():
        found = parse_checkpoint(parse_note(older.checkpoint).text)
        trees[found.origin, found.size] = found.root
    root = trees.get((kept.origin, kept.size))
    if root is None:
        detail = f"the proof shows nothing of {kept.origin} at size {kept.size}: ask for one from your checkpoint on"
        return Failure(verdict=UNVERIFIABLE, seq=None, where=path, detail=detail)
    return next(iter(hold_root(known, root, None, path)), None)
