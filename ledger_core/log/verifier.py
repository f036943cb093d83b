"""The verifier: a path and a pinned trust in, a report with a typed verdict out. Needs no database, no network, no word
of the operator's beyond the trust file.

It takes a segment's folder, a tree of segments, a proof bundle (`.json`), a tlog-proof or a signed report, or the
address of an archive in a bucket, and works in constant memory.
What is damaged, hostile or missing becomes a failure in the report; nothing raises. Where nothing is pinned, or nothing
is proved, nothing is verified: exit status 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ledger_core.errors import CannotRun, CounterfoilError, InvalidInput
from ledger_core.log.anchored import look_at_anchors
from ledger_core.log.doubts import Doubts
from ledger_core.log.dsse import REPORT_TYPE, Envelope, parse_envelope
from ledger_core.log.findings import (
    CANNOT_TELL,
    FOREIGN,
    TRUNCATED,
    UNVERIFIABLE,
    Failure,
    SegmentVerdict,
    TrustUsed,
    VerificationReport,
)
from ledger_core.log.keys import TrustFile
from ledger_core.log.known import KnownCheckpoint, absent_log, hold_against_log, hold_against_proof, parse_known
from ledger_core.log.note import Checkpoint, PublicKey
from ledger_core.log.object_tree import ObjectPlace, Place
from ledger_core.log.patience import one_task
from ledger_core.log.places import FoundLog, FoundSegments
from ledger_core.log.proof import MAX_BUNDLE_BYTES, TLOG_HEADER, ProofBundle, bundle_in, open_json, parse_tlog_proof
from ledger_core.log.reading import read_bounded, why_unread
from ledger_core.log.registries import Registries, registry_failure
from ledger_core.log.segment import KEYS_FILE
from ledger_core.log.segments_of import find_segments
from ledger_core.log.shapes import SHAPES, Shape
from ledger_core.log.stream import account_failures
from ledger_core.log.unfolding import SecondProcess
from ledger_core.log.verify_proof import verify_bundle, verify_tlog_proof
from ledger_core.log.verify_report import verify_auditor_report, verify_company_report
from ledger_core.log.verify_segment import Context, Progress, SegmentCheck, SegmentEnd

MAX_LOGS = 1_000
"""At one path: a company has a few, and each costs a line and a look at all before it."""
NOT_OF_A_REPORT = "--since and --known-checkpoint are for what a report speaks of, not for the report"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of a path, and of whom it is believed."""

    path: Place
    trust_path: Path | None
    registries: Registries
    known: Sequence[KnownCheckpoint]
    since: int | None
    progress: Progress | None
    shapes: Mapping[str, Shape]
    second_process: SecondProcess | None


def verify_path(
    path: Place,
    trust: TrustFile | Path | None,
    *,
    progress: Progress | None = None,
    known_checkpoint: str | bytes | Sequence[str | bytes] | None = None,
    since: int | None = None,
    shapes: Mapping[str, Shape] = SHAPES,
    processes: int = 1,
    signed_by: PublicKey | None = None,
) -> VerificationReport:
    """Return what can be said of `path`.

    `trust` is a trust file, its path, or None when nothing is pinned. `known_checkpoint` is a note that the caller kept
    from an earlier visit, or one of each log: the log must contain the tree it commits to. A folder of segments must
    begin at seq 0, or at `since` or before; one segment's own folder is judged alone. `progress` is told the number of
    records done. `shapes` are the kinds that can be judged; a record of any other is `unknown_schema`. With two
    `processes` the second unfolds large files, where there is a core for it. `signed_by` is an auditor's key: `path` is
    a report that it signed; a trust file then tells which keys are the company's, and no auditor's.
    """
    path = path if isinstance(path, ObjectPlace) else Path(path)
    report = VerificationReport(path=str(path), verified_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    try:
        pinned = TrustFile.load(trust) if isinstance(trust, Path) else trust
        known = parse_known(known_checkpoint)
        if since is not None and since < 0:
            raise InvalidInput("--since is a size, 0 or more.")
    except CounterfoilError as error:
        return _cannot_tell(report, str(error))
    trust_path = trust if isinstance(trust, Path) else None
    if signed_by is not None:
        _verify_auditors(path, signed_by, _keys_known(pinned, path, trust_path), report)
        if since is not None or known:
            _cannot_tell(report, NOT_OF_A_REPORT)
        return report
    if pinned is None:
        return _cannot_tell(report, "nothing is pinned: give the trust file with --trust")
    report.trust = TrustUsed(
        file=None if trust_path is None else str(trust_path),
        origin=pinned.origin,
        threshold=pinned.threshold,
        roots=tuple(key.key_id for key in pinned.roots),
        registry_version=pinned.registry_version,
    )
    question = _Question(
        path=path,
        trust_path=trust_path,
        registries=Registries(pinned),
        known=known,
        since=since,
        progress=progress,
        shapes=shapes,
        second_process=SecondProcess() if processes > 1 else None,
    )
    if trust_path is not None:
        # Whoever keeps a registry beside the trust file is not to be shown an older one.
        question.registries.add_folders([trust_path.parent])
    try:
        _verify_place(question, report)
    finally:
        if question.second_process is not None:
            question.second_process.close()
    report.company_keys = question.registries.key_ids()
    return report


def _keys_known(pinned: TrustFile | None, path: Place, trust_path: Path | None) -> frozenset[str]:
    """Return the ids of the company's keys that the trust file, and the registries beside it and `path`, tell of."""
    if pinned is None:
        return frozenset()
    registries = Registries(pinned)
    near = [] if isinstance(path, ObjectPlace) else [path.parent]
    registries.add_folders([*near, *([] if trust_path is None else [trust_path.parent])])
    return registries.key_ids()


def _verify_auditors(path: Place, key: PublicKey, company_keys: frozenset[str], report: VerificationReport) -> None:
    try:
        with one_task():
            data = read_bounded(path, MAX_BUNDLE_BYTES)
            why = None if data is not None else why_unread(path, MAX_BUNDLE_BYTES)
        if data is None:
            _cannot_tell(report, f"no file of ours: {why}")
        else:
            verify_auditor_report(parse_envelope(data), key, report, company_keys=company_keys)
    except CounterfoilError as error:
        _cannot_tell(report, str(error))


def _verify_place(question: _Question, report: VerificationReport) -> None:
    path = question.path
    if isinstance(path, ObjectPlace):
        try:
            with one_task():
                _verify_folder(question, report)
        except CannotRun as error:
            # A bucket that stops answering says nothing against what is in it.
            _cannot_tell(report, str(error))
    elif path.is_dir():
        _verify_folder(question, report)
    else:
        _verify_file(question, path, report)


def _verify_folder(question: _Question, report: VerificationReport) -> None:
    found = find_segments(question.path, question.registries)
    for place, why in found.problems:
        report.add(Failure(verdict=UNVERIFIABLE, seq=None, where=place, detail=why))
    for place, why in found.foreign:
        report.add(Failure(verdict=FOREIGN, seq=None, where=place, detail=why))
    if not found.logs:
        _cannot_tell(report, "there is no segment here")
    if len(found.logs) > MAX_LOGS:
        _cannot_tell(report, f"more than {MAX_LOGS:,} logs: the rest was not looked at")
    logs = found.logs[:MAX_LOGS]
    for log in logs if not isinstance(question.path, ObjectPlace) else ():  # a bucket's are taken in by now
        question.registries.add_folders(log.folders)
    for log in logs:
        report.take(_verify_log(question, found, log, report.records), log.origin)
    for item in question.known:
        if item.checkpoint.origin not in {log.origin for log in found.logs}:
            report.add(absent_log(item, report.path))


def _verify_log(question: _Question, found: FoundSegments, log: FoundLog, done: int) -> VerificationReport:
    report = VerificationReport(path=str(question.path))
    known = next((item for item in question.known if item.checkpoint.origin == log.origin), None)
    progress = question.progress
    ring = question.registries.newest
    doubts = Doubts(good=ring.good_trees(log.origin) if ring is not None and log.origin is not None else {})
    context = Context(
        top=question.path,
        registries=question.registries,
        report=report,
        accounts={},
        known=known,
        doubts=doubts,
        progress=None if progress is None else lambda records: progress(done + records),
        shapes=question.shapes,
        second_process=question.second_process,
    )
    first: SegmentEnd | None = None
    last: SegmentEnd | None = None
    for folder in log.folders:
        last = SegmentCheck(folder, context, last).run() or last
        first = first or last
    doubts.settle(report)
    report.listed = [_judged(item, report) for item in report.listed]
    report.accounts = len(context.accounts)
    for failure in account_failures(context.accounts):
        report.add(replace(failure, where=report.path))
    for (_, currency), (debits, credits) in context.accounts.items():
        before = report.totals.get(currency, (0, 0))
        report.totals[currency] = (before[0] + debits, before[1] + credits)
    if first is not None and last is not None:
        _check_start(question.since, found.is_single, first.manifest.first_seq, report)
        if known is not None:
            hold_against_log(known, first.manifest, last.manifest, question.registries.newest, report)
        else:
            report.notes.append(
                f"this speaks of {log.origin} up to size {last.manifest.next_seq}: whether more was signed shows only "
                "against a checkpoint that you kept (--known-checkpoint)"
            )
        look_at_anchors(question.path, last.manifest, question.registries.newest, report)
    if not report.records:
        _cannot_tell(report, "no record is proved here")
    return report


def _judged(segment: SegmentVerdict, report: VerificationReport) -> SegmentVerdict:
    """Return the segment with the verdict of the first failure in it: what keys are in doubt shows at the end alone."""
    found = [item.verdict for item in report.failures if item.where.startswith(f"{segment.folder}/")]
    real = [verdict for verdict in found if verdict not in CANNOT_TELL]
    return replace(segment, verdict=(real or found or [segment.verdict])[0])


def _check_start(since: int | None, is_single: bool, first_seq: int, report: VerificationReport) -> None:
    """A run of segments begins where it was asked to; one segment that was asked for alone stands for itself."""
    asked = since if since is not None else first_seq if is_single else 0
    if first_seq > asked:
        detail = (
            f"the segments begin at seq {first_seq}, and nothing before it is here: "
            f"--since {first_seq} if the earlier ones were verified elsewhere"
        )
        report.add(Failure(verdict=TRUNCATED, seq=asked, where=report.path, detail=detail))
    elif first_seq:
        report.notes.insert(0, f"what came before seq {first_seq} is vouched for by signatures, not recomputed")


def _verify_file(question: _Question, path: Path, report: VerificationReport) -> None:
    data = read_bounded(path, MAX_BUNDLE_BYTES)
    if data is None:
        _cannot_tell(report, f"no file or folder of ours: {why_unread(path, MAX_BUNDLE_BYTES)}")
        return
    bundle: ProofBundle | None = None
    checkpoint: Checkpoint | None = None
    try:
        if data.startswith(TLOG_HEADER.encode()):
            proof = parse_tlog_proof(data.decode("utf-8"))
            _add_keys_near(question, path.parent, report)
            checkpoint = verify_tlog_proof(proof, question.registries, report, shapes=question.shapes)
        elif data.lstrip()[:1] == b"{":
            found = open_json(data)
            # It brings its own: what lies beside it may be another company's, and counts where the roots vouch for it.
            question.registries.add_folders([path.parent])
            if isinstance(found, Envelope) and found.payload_type == REPORT_TYPE:
                _verify_companys(question, found, report)
                return
            bundle, envelope = bundle_in(found)
            checkpoint = verify_bundle(bundle, envelope, question.registries, report, shapes=question.shapes)
        else:
            _cannot_tell(report, "this is neither a segment's folder nor a proof")
    except UnicodeDecodeError:
        _cannot_tell(report, "the proof is not text in UTF-8")
    except CounterfoilError as error:
        _cannot_tell(report, str(error))
    if question.since is not None:
        _cannot_tell(report, "--since is for folders of segments")
    if not report.failures and not report.proofs:
        _cannot_tell(report, "no record is proved here")
    if not report.failures and checkpoint is not None:
        for item in question.known:
            failure = hold_against_proof(item, checkpoint, bundle, report.path)
            if failure is not None:
                report.add(failure)


def _verify_companys(question: _Question, envelope: Envelope, report: VerificationReport) -> None:
    verify_company_report(envelope, question.registries, report)
    if question.since is not None or question.known:
        _cannot_tell(report, NOT_OF_A_REPORT)


def _add_keys_near(question: _Question, folder: Path, report: VerificationReport) -> None:
    """Take in the key registry that lies beside the proof."""
    try:
        question.registries.read(folder)
    except CounterfoilError as error:
        report.add(registry_failure(error, str(folder / KEYS_FILE)))


def _cannot_tell(report: VerificationReport, detail: str) -> VerificationReport:
    report.add(Failure(verdict=UNVERIFIABLE, seq=None, where=report.path, detail=detail))
    return report
