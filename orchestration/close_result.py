"""What a close says of itself: read from the events of its run, so that the command line and the UI tell the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from orchestration.partitions import Window

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseResult:
    """A closed window: what came in, what was found, what was left behind. Rates are in 0..1."""

    window: Window
    dagster_run_id: str
    changed: bool
    """Whether anything was landed, posted, matched or exported that had not been before."""
    verdict: str
    reasons: tuple[Mapping[str, str], ...]
    """Why the verdict is `incomplete`, the first twenty: kind, subject, detail."""
    run_id: str
    match_rate: float
    break_count: int
    breaks_by_class: dict[str, int]
    pending_count: int
    entries_posted: int
    entries_known_before: int
    rows_landed: int
    rows_quarantined: int
    files_landed: int
    rejections: tuple[str, ...]
    """Files that were refused whole, and why."""
    report: str
    segment: str
    checks: tuple[Figures, ...]
    seconds: dict[str, float]
    """By step."""

    def as_json(self) -> Figures:
        """Return everything, for machines."""
        document = asdict(self)
        document["window"] = {"first": str(self.window.first), "last": str(self.window.last)}
        return document

    def as_lines(self) -> list[str]:
        """Return everything, for people."""
        warned = [check for check in self.checks if not check["passed"]]
        classes = ", ".join(f"{name} {count}" for name, count in sorted(self.breaks_by_class.items()))
        return [
            f"{self.window}: {self.verdict}",
            *(f"  {reason['kind']}: {reason['subject']}: {reason['detail']}" for reason in self.reasons),
            f"{self.entries_posted:,} entries posted ({self.entries_known_before:,} stood already), "
            f"{self.rows_landed:,} rows of {self.files_landed:,} files landed, {self.rows_quarantined:,} quarantined",
            f"match rate {self.match_rate:.2%}, {self.break_count:,} open breaks"
            + (f" ({classes})" if classes else "")
            + f", {self.pending_count:,} pending",
            f"{len(self.checks):,} checks, {len(warned):,} warn"
            + (": " + ", ".join(f"{check['asset']}/{check['name']}" for check in warned[:6]) if warned else ""),
            f"report   {self.report}",
            f"segment  {self.segment}",
            *([] if self.changed else ["Nothing had changed since the last close of these days."]),
        ]


def result_of(window: Window, execution: ExecuteInProcessResult) -> CloseResult:
    """Return the result of the executed job."""
    figures = _figures(execution)
    run, entries, segment = figures["recon/runs"], figures["ledger/posted_entries"], figures["archive/segment"]
    landed = [values for name, values in figures.items() if "rejections" in values]
    entries_posted = int(entries["entries"])
    files_landed = sum(int(values["files_landed"]) for values in landed)
    return CloseResult(
        window=window,
        dagster_run_id=execution.run_id,
        changed=bool(entries_posted or files_landed or run["created"] or segment["created"]),
        verdict=str(run["verdict"]),
        reasons=tuple(run["reasons"]),
        run_id=str(run["run_id"]),
        match_rate=float(run["match_rate"]),
        break_count=int(run["break_count"]),
        breaks_by_class={name: int(count) for name, count in figures["recon/breaks"]["by_class"].items()},
        pending_count=int(run["pending_count"]),
        entries_posted=entries_posted,
        entries_known_before=int(entries["entries_known_before"]),
        rows_landed=sum(int(values["rows_landed"]) for values in landed),
        rows_quarantined=sum(int(values["rows_quarantined"]) for values in landed),
        files_landed=files_landed,
        rejections=tuple(sorted({text for values in landed for text in values["rejections"]})),
        report=str(figures["reports/reconciliation"]["path"]),
        segment=str(segment["path"]),
        checks=_checks(execution),
        seconds=_seconds(execution),
    )


def _figures(execution: ExecuteInProcessResult) -> dict[str, Figures]:
    """Return the metadata of each asset; a range has an event a day with the same figures, so the last one stands."""
    figures: dict[str, Figures] = {}
    for event in execution.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        figures["/".join(materialization.asset_key.path)] = {
            name: value.value for name, value in materialization.metadata.items()
        }
    return figures


def _checks(execution: ExecuteInProcessResult) -> tuple[Figures, ...]:
    return tuple(
        {
            "asset": evaluation.asset_key.to_user_string(),
            "name": evaluation.check_name,
            "passed": evaluation.passed,
            "severity": evaluation.severity.value,
        }
        for evaluation in execution.get_asset_check_evaluations()
    )


def _seconds(execution: ExecuteInProcessResult) -> dict[str, float]:
    return {
        str(event.step_key): round(event.step_success_data.duration_ms / 1000, 3)
        for event in execution.all_events
        if event.is_step_success
    }
