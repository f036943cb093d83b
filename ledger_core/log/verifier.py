"""The verifier: a path and a pinned trust in, a report with a typed verdict out. Needs no database, no network, no word
of the operator's beyond the trust file.

It takes a segment's folder, a tree of segments, a proof bundle (`.json`) or a tlog-proof, and works in constant memory.
What is damaged, hostile or missing becomes a failure in the report; nothing raises. Where nothing is pinned nothing is
verified: exit status 2.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ledger_core.errors import CounterfoilError
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.findings import TRUNCATED, UNVERIFIABLE, Failure, VerificationReport
from ledger_core.log.keys import KeyRing, TrustFile
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.proof import MAX_BUNDLE_BYTES, TLOG_HEADER, parse_bundle_bytes, parse_tlog_proof
from ledger_core.log.reading import read_bounded
from ledger_core.log.segment import FILES, FOLDER_PATTERN, KEYS_FILE
from ledger_core.log.shapes import SHAPES, Shape
from ledger_core.log.stream import account_failures
from ledger_core.log.verify_proof import verify_bundle, verify_tlog_proof
from ledger_core.log.verify_segment import MAX_KEYS_BYTES, Context, Progress, SegmentCheck, SegmentEnd, read_ring

MAX_FOLDERS = 1_000_000


def verify_path(
    path: Path,
    trust: TrustFile | Path | None,
    *,
    progress: Progress | None = None,
    known_checkpoint: str | None = None,
    shapes: Mapping[str, Shape] = SHAPES,
) -> VerificationReport:
    """Return what can be said of `path`.

    `trust` is a trust file, its path, or None when nothing is pinned. `known_checkpoint` is a note that the caller kept
    from an earlier visit: the log must contain the tree it commits to. `progress` is told the number of records done.
    `shapes` are the kinds that can be judged; a record of any other is `unknown_schema`.
    """
    path = Path(path)
    report = VerificationReport(path=str(path))
    try:
        pinned = TrustFile.load(trust) if isinstance(trust, Path) else trust
        known = parse_checkpoint(parse_note(known_checkpoint).text) if known_checkpoint is not None else None
    except CounterfoilError as error:
        return _cannot_tell(report, str(error))
    if pinned is None:
        return _cannot_tell(report, "nothing is pinned: give the trust file with --trust")
    if path.is_dir():
        _verify_folder(path, pinned, report, known, progress, shapes)
    else:
        _verify_file(path, trust if isinstance(trust, Path) else None, pinned, report, shapes)
    return report


def _verify_folder(
    path: Path,
    trust: TrustFile,
    report: VerificationReport,
    known: Checkpoint | None,
    progress: Progress | None,
    shapes: Mapping[str, Shape],
) -> None:
    logs = _find_segments(path)
    if not logs:
        _cannot_tell(report, "there is no segment here")
    for folders in logs.values():
        newest = _newest_ring(folders, trust)
        context = Context(
            trust=trust,
            report=report,
            accounts={},
            newest=newest,
            known=known,
            progress=progress,
            shapes=shapes,
        )
        previous: SegmentEnd | None = None
        for folder in folders:
            previous = SegmentCheck(folder, context, previous).run() or previous
        report.accounts += len(context.accounts)
        for failure in account_failures(context.accounts):
            report.add(replace(failure, where=str(path)))
        for (_, currency), (debits, credits) in context.accounts.items():
            before = report.totals.get(currency, (0, 0))
            report.totals[currency] = (before[0] + debits, before[1] + credits)
        _check_end(report, previous, known)
        if previous is not None and report.first_seq:
            report.notes.append(f"what came before seq {report.first_seq} is vouched for by signatures, not recomputed")


def _find_segments(path: Path) -> dict[Path, list[Path]]:
    """Return the folders of segments at or below `path`, by log, in the order of the log.

    A folder named like a segment counts even when it is empty: that its files are gone is a finding.
    """
    if FOLDER_PATTERN.match(path.name) or any((path / name).exists() for name in FILES):
        return {path: [path]}
    logs: dict[Path, list[Path]] = {}
    for count, (parent, folders, files) in enumerate(os.walk(path)):
        if count >= MAX_FOLDERS:
            break
        folder = Path(parent)
        if FOLDER_PATTERN.match(folder.name) or not set(FILES).isdisjoint(files):
            logs.setdefault(_log_of(folder), []).append(folder)
            folders.clear()
    for found in logs.values():
        found.sort(key=_position)
    return dict(sorted(logs.items()))


def _newest_ring(folders: Sequence[Path], trust: TrustFile) -> KeyRing | None:
    rings = []
    for folder in folders:
        # A broken registry is reported where its segment is checked.
        with contextlib.suppress(CounterfoilError):
            rings.append(read_ring(folder, trust))
    return max((ring for ring in rings if ring is not None), key=lambda ring: ring.version, default=None)


def _log_of(folder: Path) -> Path:
    """Return what lies above `segments/<yyyy>/<mm>/<dd>`, or the parent where the tree was rearranged."""
    for parent in folder.parents:
        if parent.name == "segments":
            return parent.parent
    return folder.parent


def _position(folder: Path) -> tuple[int, int, str]:
    match = FOLDER_PATTERN.match(folder.name)
    return (int(match["segment"]), int(match["first"]), "") if match else (2**63, 0, str(folder))


def _check_end(report: VerificationReport, last: SegmentEnd | None, known: Checkpoint | None) -> None:
    if known is None or last is None or known.origin != last.manifest.origin:
        return
    if known.size > last.manifest.next_seq:
        detail = (
            f"the checkpoint you hold commits to {known.size} records, the segments end at {last.manifest.next_seq}"
        )
        report.add(Failure(verdict=TRUNCATED, seq=last.manifest.next_seq, where=report.path, detail=detail))
    elif report.first_seq is not None and known.size <= report.first_seq:
        report.notes.append(f"the checkpoint you hold, of size {known.size}, lies before what was given")


def _verify_file(
    path: Path,
    trust_path: Path | None,
    trust: TrustFile,
    report: VerificationReport,
    shapes: Mapping[str, Shape],
) -> None:
    data = read_bounded(path, MAX_BUNDLE_BYTES)
    if data is None:
        _cannot_tell(report, "there is no such file or folder, or it is too large")
        return
    try:
        if data.startswith(TLOG_HEADER.encode()):
            proof = parse_tlog_proof(data.decode("utf-8"))
            verify_tlog_proof(proof, _keys_near(path, trust_path), trust, report, shapes=shapes)
        elif data.lstrip()[:1] == b"{":
            bundle, envelope = parse_bundle_bytes(data)
            verify_bundle(bundle, envelope, trust, report, shapes=shapes)
        else:
            _cannot_tell(report, "this is neither a segment's folder nor a proof")
    except UnicodeDecodeError:
        _cannot_tell(report, "the proof is not text in UTF-8")
    except CounterfoilError as error:
        _cannot_tell(report, str(error))


def _keys_near(path: Path, trust_path: Path | None) -> Sequence[Envelope]:
    """Return the key registry that lies beside the proof, or beside the trust file."""
    for folder in (path.parent, *((trust_path.parent,) if trust_path is not None else ())):
        data = read_bounded(folder / KEYS_FILE, MAX_KEYS_BYTES)
        if data is not None:
            return [parse_envelope(line) for line in data.splitlines() if line]
    return ()


def _cannot_tell(report: VerificationReport, detail: str) -> VerificationReport:
    report.add(Failure(verdict=UNVERIFIABLE, seq=None, where=report.path, detail=detail))
    return report
