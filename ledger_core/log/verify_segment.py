"""Verify one segment, alone or behind the one before it.

Order of work: the key registry against the pinned roots, the manifest's and the checkpoint's signatures, the records
against the tree, the files against the manifest, this segment against the one before. Every step that can still say
something does, also behind a broken one, so that the report shows the whole damage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ledger_core.errors import CannotRun, CounterfoilError
from ledger_core.log.continuity import broken_chain
from ledger_core.log.doubts import Doubts, note_signers
from ledger_core.log.dsse import SEGMENT_TYPE, parse_envelope
from ledger_core.log.findings import (
    BAD_SIGNATURE,
    EDITED,
    FAILED,
    FORKED,
    MISSING,
    TRUNCATED,
    UNBALANCED,
    UNSIGNED_PENDING,
    UNVERIFIABLE,
    VERIFIED,
    Failure,
    SegmentVerdict,
    VerificationReport,
)
from ledger_core.log.keys import Judgement, KeyRing
from ledger_core.log.known import KnownCheckpoint, hold_root
from ledger_core.log.merkle import verify_consistency
from ledger_core.log.note import Checkpoint, encode_base64, parse_checkpoint, parse_note
from ledger_core.log.object_tree import Place
from ledger_core.log.places import MAX_MANIFEST_BYTES, why_misplaced
from ledger_core.log.reading import LineReader, read_bounded, unsigned_content_bytes, why_unread
from ledger_core.log.registries import MAX_KEYS_BYTES, Registries, fork_failure, registry_failure
from ledger_core.log.segment import (
    CHECKPOINT_FILE,
    KEYS_FILE,
    MANIFEST_FILE,
    RECORDS_FILE,
    TIMESTAMP_FILE,
    Manifest,
    manifest_sha256,
    parse_manifest,
)
from ledger_core.log.shapes import SHAPES, Shape
from ledger_core.log.stream import RecordStream
from ledger_core.log.timestamps import timestamp_failure
from ledger_core.log.unfolding import SecondProcess

MAX_CHECKPOINT_BYTES = 64 * 1024
MAX_SURPLUS_RECORDS = 10_000
"""How many records beyond the signed ones are looked at."""
MAX_UNSIGNED_ACCOUNTS = 200_000
"""Sums take memory, of which a forger may not have as much as he likes; a company may, that signs for its accounts."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEnd:
    """The end of a verified segment: what the next one must join on to."""

    manifest: Manifest
    manifest_sha256: str
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is the same for every segment of one log; `known` is a checkpoint kept from an earlier visit.

    `top` is the path that was asked for: below it, where a segment lies is held against its manifest. `doubts` are what
    compromised keys signed of the log. `second_process` unfolds large files beside this one.
    """

    top: Place
    registries: Registries
    report: VerificationReport
    accounts: dict[tuple[str, str], tuple[int, int]]
    known: KnownCheckpoint | None = None
    doubts: Doubts = field(default_factory=Doubts)
    progress: Progress | None = None
    shapes: Mapping[str, Shape] = field(default_factory=lambda: SHAPES)
    second_process: SecondProcess | None = None


class SegmentCheck:
    """One pass over one segment's folder."""

    def __init__(self, folder: Place, context: Context, previous: SegmentEnd | None) -> None:
        self._folder = folder
        self._context = context
        self._report = context.report
        self._previous = previous
        self._manifest: Manifest | None = None
        self._is_manifest_signed = False
        self._digest = ""
        self._ring: KeyRing | None = None
        self._checkpoint: Checkpoint | None = None
        self._is_checkpoint_signed = False
        self._failed_before = (len(self._report.failures), self._report.suppressed)

    def run(self) -> SegmentEnd | None:
        """Add to the report what is wrong and what was counted; return the end for the next segment to join on to."""
        self._read_keys()
        self._read_manifest()
        self._read_checkpoint()
        if self._manifest is not None:
            self._check_place(self._manifest)
        stream = self._read_records()
        if self._manifest is not None:
            self._check_small_files(self._manifest, stream.recorded_at)
            self._check_continuity(self._manifest)
        self._count(stream)
        if self._manifest is None:
            return None
        return SegmentEnd(manifest=self._manifest, manifest_sha256=self._digest, recorded_at=stream.recorded_at)

    def _read_keys(self) -> None:
        registries = self._context.registries
        try:
            ring = registries.read(self._folder)
        except CannotRun:
            raise
        except CounterfoilError as error:
            self._add(registry_failure(error, self._where(KEYS_FILE)))
        else:
            if ring is None:
                self._fail(MISSING, KEYS_FILE, f"the key registry: {why_unread(self._path(KEYS_FILE), MAX_KEYS_BYTES)}")
            elif (version := registries.forked_version(ring)) is not None:
                self._add(fork_failure(version, self._where(KEYS_FILE)))
        # A key revoked later is judged by what is known now.
        self._ring = registries.newest

    def _read_manifest(self) -> None:
        data = read_bounded(self._path(MANIFEST_FILE), MAX_MANIFEST_BYTES)
        if data is None:
            why = why_unread(self._path(MANIFEST_FILE), MAX_MANIFEST_BYTES)
            self._fail(MISSING, MANIFEST_FILE, f"the manifest: {why}")
            return
        try:
            envelope = parse_envelope(data)
            manifest = parse_manifest(envelope.payload)
        except CounterfoilError as error:
            self._fail(EDITED, MANIFEST_FILE, str(error))
            return
        self._manifest, self._digest = manifest, manifest_sha256(envelope.payload)
        if not self._context.registries.trust.covers(manifest.origin):
            self._fail(UNVERIFIABLE, MANIFEST_FILE, f"the trust file pins nothing for {manifest.origin}")
        elif envelope.payload_type != SEGMENT_TYPE:
            self._fail(BAD_SIGNATURE, MANIFEST_FILE, f"the envelope is of type {envelope.payload_type}")
        elif self._ring is not None:
            judgement = self._ring.judge_envelope(envelope, manifest.origin, manifest.next_seq, manifest.root)
            self._is_manifest_signed = judgement.verdict is None
            self._note_signers(judgement, MANIFEST_FILE, manifest.next_seq)
            if self._is_manifest_signed or judgement.doubtful:
                self._check_registry(manifest, self._ring)

    def _check_registry(self, manifest: Manifest, newest: KeyRing) -> None:
        """Hold the registry that the manifest was written under against those that are here."""
        version = manifest.registry_version
        if version > newest.version:
            detail = f"the registry ends at version {newest.version}, the manifest was written under {version}"
            self._fail(TRUNCATED, KEYS_FILE, detail)
        elif self._context.registries.fork(version, manifest.registry_sha256):
            self._add(fork_failure(version, self._where(MANIFEST_FILE)))

    def _read_checkpoint(self) -> None:
        data = read_bounded(self._path(CHECKPOINT_FILE), MAX_CHECKPOINT_BYTES)
        if data is None:
            why = why_unread(self._path(CHECKPOINT_FILE), MAX_CHECKPOINT_BYTES)
            self._fail(MISSING, CHECKPOINT_FILE, f"the checkpoint: {why}")
            return
        try:
            note = parse_note(data)
            checkpoint = parse_checkpoint(note.text)
        except CounterfoilError as error:
            self._fail(EDITED, CHECKPOINT_FILE, str(error))
            return
        if not self._context.registries.trust.covers(checkpoint.origin):
            self._fail(UNVERIFIABLE, CHECKPOINT_FILE, f"the trust file pins nothing for {checkpoint.origin}")
        elif self._ring is not None:
            judgement = self._ring.judge_checkpoint(note, checkpoint)
            self._note_signers(judgement, CHECKPOINT_FILE, checkpoint.size)
            self._is_checkpoint_signed = judgement.verdict is None
            if self._is_checkpoint_signed or judgement.doubtful:
                self._checkpoint = checkpoint

    def _check_place(self, manifest: Manifest) -> None:
        """Hold the manifest against the folder's place and the checkpoint."""
        misplaced = why_misplaced(self._folder, self._context.top, manifest)
        if misplaced is not None:
            self._fail(FORKED, MANIFEST_FILE, misplaced, manifest.first_seq)
        checkpoint = self._checkpoint
        if checkpoint is None:
            return
        if checkpoint.origin != manifest.origin:
            self._fail(FORKED, CHECKPOINT_FILE, f"it is of {checkpoint.origin}, the manifest of {manifest.origin}")
        elif checkpoint.size > manifest.next_seq:
            detail = f"the checkpoint commits to {checkpoint.size} records, the segment ends at {manifest.next_seq}"
            self._fail(TRUNCATED, CHECKPOINT_FILE, detail, manifest.next_seq)
        elif checkpoint.size < manifest.next_seq:
            detail = f"the checkpoint commits to {checkpoint.size} of {manifest.next_seq} records"
            self._fail(UNSIGNED_PENDING, CHECKPOINT_FILE, detail, checkpoint.size)
        elif checkpoint.root != manifest.root:
            self._fail(FORKED, CHECKPOINT_FILE, "checkpoint and manifest sign two roots", manifest.first_seq)
        if manifest.consistency and not verify_consistency(
            manifest.before.size, manifest.before.root(), manifest.next_seq, manifest.root, manifest.consistency
        ):
            self._fail(FORKED, MANIFEST_FILE, "the tree after does not contain the tree before", manifest.first_seq)

    def _read_records(self) -> RecordStream:
        manifest = self._manifest
        stream = self._new_stream(manifest)
        records = manifest.stored(RECORDS_FILE) if manifest else None
        content_bytes = records.content_bytes if records and self._is_manifest_signed else None
        if content_bytes is None:
            content_bytes = unsigned_content_bytes(self._path(RECORDS_FILE))
        reader = LineReader(
            self._path(RECORDS_FILE), max_content_bytes=content_bytes, second=self._context.second_process
        )
        done = self._report.records
        room = manifest.next_seq - manifest.first_seq + MAX_SURPLUS_RECORDS if manifest else None
        for block in reader.blocks():
            left = block.count if room is None else room - stream.size + stream.first_seq
            if block.count <= left:
                stream.feed_block(block)
            else:
                stream.feed(block.lines()[: max(0, left)])
            if self._context.progress is not None:
                self._context.progress(done + stream.size - stream.first_seq)
            if stream.has_given_up:
                reader.problem = (EDITED, f"{stream.unreadable:,} lines are no records: the rest was not looked at")
                break
            if not self._is_manifest_signed and stream.sums.accounts > MAX_UNSIGNED_ACCOUNTS:
                detail = f"more than {MAX_UNSIGNED_ACCOUNTS:,} accounts, and nobody signed them: not looked at"
                reader.problem = (EDITED, detail)
                break
        root = stream.frontier.root()
        signed = self._signed_root(manifest)
        next_seq = manifest.next_seq if manifest else self._checkpoint.size if self._checkpoint else None
        holds = signed is not None and root == signed and (next_seq is None or stream.size == next_seq)
        failures = stream.close(
            next_seq=next_seq, last_leaf=manifest.last_leaf if manifest else None, root_holds=holds or signed is None
        )
        if reader.problem is not None:
            verdict, detail = reader.problem
            failures = [item for item in failures if item.verdict != TRUNCATED]
            self._fail(verdict, RECORDS_FILE, detail, stream.blame.expected)
        for failure in failures:
            self._add(replace(failure, where=self._where(RECORDS_FILE)))
        stored = (reader.stored_bytes, reader.stored_sha256)
        if records is not None and reader.problem is None and stored != (records.bytes, records.sha256):
            self._fail(EDITED, RECORDS_FILE, "the file is not the one that the manifest lists")
        elif records is not None and reader.problem is None:
            inside = (reader.content_bytes, stream.size - stream.first_seq)
            if inside != (records.content_bytes, records.lines):
                self._fail(EDITED, MANIFEST_FILE, "what it says is in the records' file is not what is in it")
        if manifest is not None and not failures and reader.problem is None:
            self._check_sums(manifest, stream)
        self._check_watched(stream)
        if holds and self._is_checkpoint_signed:
            self._context.doubts.show(stream.size)
        if manifest is not None and self._is_manifest_signed:
            self._context.doubts.name(manifest.first_seq)
        return stream

    def _new_stream(self, manifest: Manifest | None) -> RecordStream:
        known = self._context.known
        watch = [*self._context.doubts.good, *([known.checkpoint.size] if known is not None else [])]
        if manifest is None:
            return RecordStream(watch=watch, shapes=self._context.shapes)
        previous = self._previous
        joins = previous is not None and previous.manifest.next_seq == manifest.first_seq
        prev = previous.manifest.last_leaf if previous is not None and joins else manifest.first_prev
        stream = RecordStream(
            frontier=manifest.before, prev=prev, book=manifest.book, watch=watch, shapes=self._context.shapes
        )
        if previous is not None and joins:
            stream.recorded_at = previous.recorded_at
        return stream

    def _signed_root(self, manifest: Manifest | None) -> bytes | None:
        if self._checkpoint is not None and (manifest is None or self._checkpoint.size == manifest.next_seq):
            return self._checkpoint.root
        return manifest.root if manifest is not None else None

    def _check_sums(self, manifest: Manifest, stream: RecordStream) -> None:
        """Hold what the manifest says in words against what the records, all in order, say."""
        if dict(manifest.totals) != stream.totals():
            self._fail(UNBALANCED, MANIFEST_FILE, "its totals are not those of the records", manifest.first_seq)
        if manifest.entries != stream.entries:
            self._fail(EDITED, MANIFEST_FILE, f"it counts {manifest.entries} entries, there are {stream.entries}")
        if stream.recorded_at not in ("", manifest.cutoff):
            self._fail(EDITED, MANIFEST_FILE, f"the cutoff {manifest.cutoff}, the last record of {stream.recorded_at}")
        if stream.origin is not None and stream.origin != manifest.origin:
            self._fail(FORKED, RECORDS_FILE, f"the book was opened as {stream.origin}", 0)
        for currency, (debits, credits) in sorted(stream.totals().items()):
            if debits != credits:
                self._fail(UNBALANCED, RECORDS_FILE, f"debits and credits of {currency} differ", manifest.first_seq)

    def _check_watched(self, stream: RecordStream) -> None:
        """Hold the trees on the way against the known checkpoint, and those that the registry states."""
        known, first = self._context.known, stream.first_seq
        for size, root in {first: self._first_root(stream), **stream.watched}.items():
            if root is None:
                continue
            failure = self._context.doubts.see(size, root, self._where(RECORDS_FILE))
            if failure is not None:
                self._add(failure)
            if known is not None and size == known.checkpoint.size and size in stream.watched:
                for failure in hold_root(known, root, first, self._where(CHECKPOINT_FILE)):
                    self._add(failure)

    def _first_root(self, stream: RecordStream) -> bytes | None:
        """Return the root that the first segment starts from; of the others it was seen at the end before."""
        manifest = self._manifest
        starts = manifest is not None and self._previous is None and manifest.first_seq == stream.first_seq
        return manifest.before.root() if manifest is not None and starts else None

    def _check_small_files(self, manifest: Manifest, recorded_at: str) -> None:
        for name, limit in ((CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES), (KEYS_FILE, MAX_KEYS_BYTES)):
            stored, data = manifest.stored(name), read_bounded(self._path(name), limit)
            if stored is None:
                self._fail(EDITED, MANIFEST_FILE, f"it does not list {name}")
            elif data is not None and (len(data), sha256(data).hexdigest()) != (stored.bytes, stored.sha256):
                self._fail(EDITED, name, "the file is not the one that the manifest lists")
        if manifest.stored(RECORDS_FILE) is None:
            self._fail(EDITED, MANIFEST_FILE, f"it does not list {RECORDS_FILE}")
        roots = self._context.registries.trust.timestamp_roots
        failure = timestamp_failure(self._path, manifest, recorded_at, roots, self._report)
        if failure is not None:
            self._fail(failure[0], TIMESTAMP_FILE, failure[1])

    def _check_continuity(self, manifest: Manifest) -> None:
        before = self._previous
        broken = broken_chain(
            manifest,
            None if before is None else before.manifest,
            None if before is None else before.manifest_sha256,
        )
        if broken is not None:
            verdict, detail, seq = broken
            self._fail(verdict, MANIFEST_FILE, detail, seq)

    def _count(self, stream: RecordStream) -> None:
        report = self._report
        report.segments += 1
        report.records += stream.size - stream.first_seq
        report.entries += stream.entries
        for key, (debits, credits) in stream.sums.by_account().items():
            more = self._context.accounts.get(key, (0, 0))
            self._context.accounts[key] = (more[0] + debits, more[1] + credits)
        manifest = self._manifest
        report.add_segment(
            SegmentVerdict(
                folder=self._folder.name,
                origin=manifest.origin if manifest else None,
                segment=manifest.segment if manifest else None,
                closed_on=manifest.closed_on.isoformat() if manifest else None,
                first_seq=stream.first_seq,
                next_seq=manifest.next_seq if manifest else None,
                records=stream.size - stream.first_seq,
                entries=stream.entries,
                verdict=VERIFIED if (len(report.failures), report.suppressed) == self._failed_before else FAILED,
            )
        )
        if report.first_seq is None:
            report.first_seq = stream.first_seq
        if manifest is not None and manifest.origin not in report.origins:
            report.origins.append(manifest.origin)
        if self._checkpoint is not None:
            report.size, report.root = self._checkpoint.size, encode_base64(self._checkpoint.root)

    def _note_signers(self, judgement: Judgement, name: str, size: int) -> None:
        if judgement.verdict is not None:
            failure = Failure(verdict=judgement.verdict, seq=None, where=self._where(name), detail=judgement.detail)
            if judgement.doubtful:
                self._context.doubts.add(size, failure, judgement, is_manifest=name == MANIFEST_FILE)
            else:
                self._add(failure)
        note_signers(self._report, judgement.signers)

    def _fail(self, verdict: str, name: str, detail: str, seq: int | None = None) -> None:
        self._add(Failure(verdict=verdict, seq=seq, where=self._where(name), detail=detail))

    def _path(self, name: str) -> Place:
        return self._folder / name

    def _where(self, name: str) -> str:
        return f"{self._folder.name}/{name}"

    def _add(self, failure: Failure) -> None:
        self._report.add(failure)
