"""The time-stamps of a proof bundle: of which of its trees an authority that is pinned says when it existed.

A token stands beside the note that it is over: the bundle's own, or one of those whose trees the bundle proves to be of
one log with it. What it vouches for are the records below that tree's size: they were there at its time, and none of
them may say that it was taken later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger_core.errors import CounterfoilError
from ledger_core.log.findings import MISDATED, Failure, VerificationReport
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.proof import Consistency, ProofBundle
from ledger_core.log.record import parse_record
from ledger_core.log.timestamps import as_text, judge_token, why_late


def check_stamps(
    bundle: ProofBundle, proved: Sequence[Consistency], roots: Sequence[str], report: VerificationReport
) -> None:
    """Add to `report` what is wrong with the tokens of the bundle and of the trees `proved`; count those that hold."""
    stamped: list[tuple[Checkpoint, str, bytes]] = []
    for note, token in ((bundle.checkpoint, bundle.timestamp), *((it.checkpoint, it.timestamp) for it in proved)):
        if token is not None:
            stamped.append((parse_checkpoint(parse_note(note).text), note, token))
    for checkpoint, note, token in sorted(stamped, key=lambda item: item[0].size):
        judgement = judge_token(token, note.encode(), roots)
        if judgement.refusal is not None:
            _fail(report, judgement.verdict, None, f"the checkpoint of size {checkpoint.size}: {judgement.refusal}")
            continue
        report.count_timestamp(checkpoint.size, judgement.made_at, judgement.unjudged)
        if judgement.made_at is not None:
            _hold_times(bundle, checkpoint.size, judgement.made_at, report)


def _hold_times(bundle: ProofBundle, size: int, made_at: datetime, report: VerificationReport) -> None:
    covered = [item for item in bundle.records if item.seq < size]
    for item in covered:
        try:
            late = why_late(made_at, parse_record(item.canonical).recorded_at)
        except CounterfoilError:
            continue  # which is told where the record is checked
        if late:
            _fail(report, MISDATED, item.seq, late)
    if covered:
        report.notes.append(
            f"{len(covered)} of {len(bundle.records)} records, those before seq {size}, existed at {as_text(made_at)}: "
            "so says a time-stamping authority that the trust file pins"
        )


def _fail(report: VerificationReport, verdict: str, seq: int | None, detail: str) -> None:
    report.add(Failure(verdict=verdict, seq=seq, where=report.path, detail=detail))
