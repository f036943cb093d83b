"""The archive as a replay reads it: verified whole by the verifier itself, then read again record by record.

Two passes, because nothing may be written that does not verify, and what is wrong with an archive often shows at its
end alone. What the second pass reads is what the first one verified: it ends in the same root, or nothing is kept.
Constant memory in both. A bucket is read by the versions that count, a folder as it lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger_core.errors import ArchiveRefused, CounterfoilError, InvalidInput
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.findings import CANNOT_TELL, LogVerdict
from ledger_core.log.keys import KeyRing, TrustFile
from ledger_core.log.note import MAX_NOTE_BYTES, decode_hash, parse_checkpoint, parse_note
from ledger_core.log.object_tree import ObjectPlace, Place
from ledger_core.log.places import MAX_MANIFEST_BYTES, FoundLog
from ledger_core.log.reading import LineReader, read_bounded
from ledger_core.log.registries import Registries
from ledger_core.log.segment import CHECKPOINT_FILE, MANIFEST_FILE, RECORDS_FILE, Manifest, parse_manifest
from ledger_core.log.segments_of import find_segments
from ledger_core.log.shapes import Shape
from ledger_core.log.verifier import verify_path

SHOWN_FAILURES = 3

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of a verified log."""

    folder: Place
    manifest: Manifest

    def lines(self) -> Iterator[list[bytes]]:
        """Yield its records. Raises `ArchiveRefused` when they cannot be read to the end."""
        records = self.manifest.stored(RECORDS_FILE)
        reader = LineReader(
            self.folder / RECORDS_FILE, max_content_bytes=None if records is None else records.content_bytes
        )
        yield from reader
        if reader.problem is not None:
            verdict, detail = reader.problem
            raise changed(self.folder / RECORDS_FILE, detail, verdict)

    def note(self, ring: KeyRing) -> str:
        """Return the signed checkpoint at its end. Raises `ArchiveRefused` for one of other keys or of another tree."""
        data = read_bounded(self.folder / CHECKPOINT_FILE, MAX_NOTE_BYTES)
        try:
            if data is None:
                raise InvalidInput("it cannot be read.")
            signed = parse_note(data)
            checkpoint = parse_checkpoint(signed.text)
            judgement = ring.judge_checkpoint(signed, checkpoint)
        except CounterfoilError as error:
            raise changed(self.folder / CHECKPOINT_FILE, error.message, "edited") from error
        of_manifest = (self.manifest.origin, self.manifest.next_seq, self.manifest.root)
        # What a compromised key signed counts in a tree that does: the verifier has settled that.
        if (judgement.verdict and not judgement.doubtful) or of_manifest != (
            checkpoint.origin,
            checkpoint.size,
            checkpoint.root,
        ):
            raise changed(self.folder / CHECKPOINT_FILE, "it does not sign this tree", "bad_signature")
        return data.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """One log of the archive: what the verifier said it comes to, and its segments in order."""

    origin: str
    book: str
    size: int
    root: bytes
    ring: KeyRing
    segments: tuple[Segment, ...]

    @property
    def first_seq(self) -> int:
        """The first record that the archive holds."""
        return self.segments[0].manifest.first_seq


def verified_logs(
    place: Place,
    trust: Path | None,
    *,
    since: int | None,
    shapes: Mapping[str, Shape],
    progress: Progress | None,
) -> list[VerifiedLog]:
    """Return the logs at `place`, all of which verify against the pinned `trust`.

    Raises `ArchiveRefused` with the verifier's verdict, and `InvalidInput` where nothing can be told.
    """
    report = verify_path(place, trust, progress=progress, since=since, shapes=shapes)
    # What somebody laid beside the segments is not read, and must not keep a ledger from being brought back.
    if not report.is_foreign_alone or trust is None:
        shown = "; ".join(str(failure) for failure in report.failures[:SHOWN_FAILURES])
        more = len(report.failures) + report.suppressed - SHOWN_FAILURES
        detail = f"{shown}{f'; and {more} more' if more > 0 else ''}"
        if report.verdict in CANNOT_TELL:
            raise InvalidInput(
                f"{place} cannot be judged, and nothing of it is replayed: {detail}.",
                remedy="Name the archive, and with --trust the trust file that the auditors have.",
                verdict=report.verdict,
            )
        raise ArchiveRefused(
            f"{place} does not verify, and nothing of it is replayed: {detail}.",
            remedy="Run `counterfoil verify` on it, and on another copy: docs/runbooks/restore.md, 5.",
            verdict=report.verdict,
        )
    verdicts = {item.origin: item for item in report.logs}
    registries = Registries(TrustFile.load(trust))
    registries.add_folders([trust.parent])
    found = find_segments(place, registries)
    for log in found.logs if not isinstance(place, ObjectPlace) else ():  # a bucket's are taken in by now
        registries.add_folders(log.folders)
    return [_verified(log, verdicts, registries, place) for log in found.logs]


def changed(place: Place, detail: str, verdict: str) -> ArchiveRefused:
    """Say that the archive is not what was verified a moment ago."""
    return ArchiveRefused(
        f"{place} changed while it was replayed, and nothing was kept: {detail}.",
        remedy="Somebody writes to the archive: docs/runbooks/archive.md. Replay a copy that nobody writes to.",
        verdict=verdict,
    )


def _verified(
    log: FoundLog, verdicts: Mapping[str | None, LogVerdict], registries: Registries, place: Place
) -> VerifiedLog:
    verdict = verdicts.get(log.origin)
    ring = registries.newest
    if log.origin is None or verdict is None or verdict.size is None or verdict.root is None or ring is None:
        raise changed(place, f"the log {log.origin} was not there", "edited")
    segments = []
    for folder in log.folders:
        data = read_bounded(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
        if data is None:
            raise changed(folder / MANIFEST_FILE, "it cannot be read", "missing")
        segments.append(Segment(folder=folder, manifest=parse_manifest(parse_envelope(data).payload)))
    return VerifiedLog(
        origin=log.origin,
        book=segments[0].manifest.book,
        size=verdict.size,
        root=decode_hash(verdict.root),
        ring=ring,
        segments=tuple(segments),
    )
