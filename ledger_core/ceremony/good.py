"""The last tree beyond doubt after a key was stolen: from independent evidence, never from the accused database.

Evidence is a checkpoint that lay somewhere else than in the database before the theft: in the archive, or in the hands
of whoever kept one. Of each log the largest counts. The database may only prove: its hashes are folded, and what comes
out is compared with what was signed elsewhere, so that it can withhold and not lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.base.objects.port import ObjectStore
from ledger_core.book.sequencer.checkpoints import frontier_at, leaves_between
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, NotFound
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.reading import read_bounded, why_unread
from ledger_core.log.walk import fair

if TYPE_CHECKING:
    from psycopg import Connection

CHUNK_LEAVES = 10_000
CHECKPOINT_NAMES = ("checkpoint", "checkpoints", "anchors")
"""Parts of the names under which an archive keeps signed notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A checkpoint that counted, and where it lies; of the time it was written only what the store says."""

    checkpoint: Checkpoint
    note: str
    where: str


def archived(store: ObjectStore, ring: KeyRing, origin: str, *, before: datetime | None = None) -> list[Evidence]:
    """Return the checkpoints of `origin` in the archive whose keys counted, those written before `before` alone."""
    notes = []
    for name, versions, _ in store.survey(f"{origin}/"):
        if set(name.removeprefix(f"{origin}/").split("/")) & set(CHECKPOINT_NAMES):
            # Whoever can write may have laid his own under the name before ours, or over it.
            notes += [(name, item) for item in versions if before is None or item.written_at < before]
    found = []
    for name, version in fair(notes, size=lambda note: _size_in(note[0]), written_at=lambda note: note[1].written_at):
        if version.size_bytes > MAX_NOTE_BYTES:
            continue
        try:
            with store.open(name, version.version_id) as source:
                data = source.read(MAX_NOTE_BYTES + 1)
        except Unreadable:
            continue
        evidence = _evidence(data, ring, f"{store.uri}/{name}")
        if evidence is not None and evidence.checkpoint.origin == origin:
            found.append(evidence)
    return found


def _size_in(name: str) -> int:
    """Return the size that the name of a note states: an anchor's own, or where the segment ends."""
    digits = name.removesuffix("/checkpoint").rpartition("/")[2].rpartition("-")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 20 else 0


def kept(files: Sequence[Path], ring: KeyRing) -> list[Evidence]:
    """Return the checkpoints in `files`, which somebody vouches for. Raises `InvalidInput` for one that counts not."""
    found = []
    for path in files:
        data = read_bounded(path, MAX_NOTE_BYTES)
        if data is None:
            raise InvalidInput(f"{why_unread(path, MAX_NOTE_BYTES)}.", file=str(path))
        evidence = _evidence(data, ring, str(path))
        if evidence is None:
            raise InvalidInput(
                "no checkpoint that a key of this registry signed.",
                file=str(path),
                remedy="Give a signed note: a segment's `checkpoint`, or what a caller was answered.",
            )
        found.append(evidence)
    return found


def largest(evidence: Iterable[Evidence]) -> dict[str, Evidence]:
    """Return the largest by log. Raises `IntegrityError` where two roots of one size are signed: they are the proof."""
    by_tree: dict[tuple[str, int], Evidence] = {}
    for item in evidence:
        tree = item.checkpoint
        other = by_tree.setdefault((tree.origin, tree.size), item)
        if other.checkpoint.root != tree.root:
            raise IntegrityError(
                f"two trees of {tree.origin} at size {tree.size} are signed: {other.where} and {item.where}.",
                remedy="Keep both as evidence. Give the last time before the forgery with --before, or take the false "
                "one out of the archive's prefix.",
            )
    found: dict[str, Evidence] = {}
    for (origin, size), item in by_tree.items():
        if origin not in found or found[origin].checkpoint.size < size:
            found[origin] = item
    return found


def weigh(
    known: Sequence[Evidence], found: Iterable[Evidence], last: Mapping[str, Checkpoint], drop: Callable[[str], None]
) -> dict[str, Evidence]:
    """Return by log the evidence that counts; `drop` is told of each that does not, and why.

    What somebody vouches for (`known`) speaks for its log alone: whoever has the key can write to an archive too.
    `last` is what the witness signed last of each log: beyond it, or another tree of that size, was signed elsewhere.
    Raises `InvalidInput` where nothing of what is vouched for was signed here.
    """
    vouched = {item.checkpoint.origin for item in known}
    counted: list[Evidence] = []
    for item in (*known, *(item for item in found if item.checkpoint.origin not in vouched)):
        tree, tip = item.checkpoint, last[item.checkpoint.origin]
        if tree.size > tip.size:
            drop(f"{item.where}: the witness signed {tip.size:,} records of {tree.origin}, this has {tree.size:,}")
        elif tree.size == tip.size and tree.root != tip.root:
            drop(f"{item.where}: the witness signed another tree of {tree.origin} at size {tree.size:,}")
        else:
            counted.append(item)
    if lost := vouched - {item.checkpoint.origin for item in counted}:
        raise InvalidInput(
            f"the witness never signed what is given of {min(lost)}.",
            remedy="Keep it: it is the thief's. Give another that was kept, or none.",
        )
    return largest(counted)


def tip_proved(conn: Connection[Any], book: str, good: Checkpoint | None, tip: Checkpoint) -> str | None:
    """Return why the tree `tip` is not shown to contain `good`, None when it is.

    Out of the database come hashes alone: what is false does not fold to the roots that were signed elsewhere.
    """
    size = good.size if good is not None else 0
    if size > tip.size:
        return f"the proxy signed {tip.size} records, the evidence has {size}"
    try:
        tree = frontier_at(conn, book, size)
        if good is not None and tree.root() != good.root:
            return f"the database has another tree at size {size} than the evidence"
        while tree.size < tip.size:
            tree = tree.extend(leaves_between(conn, book, tree.size, min(tree.size + CHUNK_LEAVES, tip.size)))
    except (IntegrityError, InvalidInput, NotFound) as error:
        return error.message
    return None if tree.root() == tip.root else f"the database has another tree at size {tip.size} than was signed"


def _evidence(data: bytes, ring: KeyRing, where: str) -> Evidence | None:
    try:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
    except CounterfoilError:
        return None
    if ring.judge_checkpoint(note, checkpoint).verdict is not None:
        return None
    return Evidence(checkpoint=checkpoint, note=str(note), where=where)
