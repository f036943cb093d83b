"""The demo: a sample company's month, delivered and closed as it would have come, then compared with what was planted.

The company sells through Stripe, Adyen and PayPal, and banks at two banks that state in formats of their own.

The first days are closed as one range, as a back-fill would be; the last three night by night.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from cli.services import start_everything, status_of
from ingest.landing.erasable import LandedFiles
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

NIGHTS = 3
STATEMENTS = {"delta": "mt940", "harbour": "camt053"}
"""Two banks, each with its own format."""
Progress = Callable[[Any], None]


@dataclass(slots=True, kw_only=True)
class DemoResult:
    """What the demo found; `as_planted` says whether the breaks equal the truth file's, one by one."""

    as_of: date
    seconds: float = 0.0
    changed: bool = False
    entries: int = 0
    signed_size: int = 0
    items_landed: int = 0
    match_rate: float = 0.0
    verdict: str = ""
    breaks: dict[str, int] = field(default_factory=dict)
    planted: dict[str, int] = field(default_factory=dict)
    not_found: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    segments_verified: int = 0
    verification: str = ""
    report: str = ""
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def as_planted(self) -> bool:
        return not self.not_found and not self.invented and self.verification == "verified"

    def as_json(self) -> dict[str, Any]:
        """Return everything, for machines."""
        names = self.__dataclass_fields__
        return {**{name: getattr(self, name) for name in names}, "as_planted": self.as_planted}

    def as_lines(self) -> list[str]:
        """Return everything, for people."""
        classes = sorted({*self.breaks, *self.planted})
        rows = [f"  {name:24} {self.breaks.get(name, 0):>6} {self.planted.get(name, 0):>8}" for name in classes]
        same = "equal to what was planted" if self.as_planted else "NOT what was planted"
        return [
            f"as of {self.as_of}: {self.verdict}",
            f"{self.entries:,} entries posted, log signed to {self.signed_size:,} records; "
            f"{self.items_landed:,} items landed; match rate {self.match_rate:.2%}",
            "",
            f"  {'break':24} {'found':>6} {'planted':>8}",
            *rows,
            f"The breaks are {same}, by class, key and amount.",
            *(f"  not found: {line}" for line in self.not_found[:10]),
            *(f"  invented: {line}" for line in self.invented[:10]),
            "",
            f"{self.segments_verified} segments of the archive: {self.verification}",
            f"report   {self.report}",
            *(f"{name:8} {url}" for name, url in self.urls.items()),
            "",
            "Nothing had changed since the last time." if not self.changed else f"Done in {self.seconds:.0f} s.",
        ]


def run_demo(settings: Settings, *, days: int, per_day: int, seed: int, progress: Progress) -> DemoResult:
    """Make, deliver, close, verify and compare; a second run with the same options changes nothing."""
    started = time.monotonic()
    start_everything(settings, progress=progress)
    folder = settings.home / "demo" / f"{days}-{per_day}-{seed}-{'-'.join(STATEMENTS.values())}"
    truth = _sample(folder, days=days, per_day=per_day, seed=seed, progress=progress)
    as_of = date.fromisoformat(truth["as_of"])
    result = DemoResult(as_of=as_of, planted=dict(truth["counts"]))
    with open_runtime(settings, files=LandedFiles(), progress=progress) as runtime:
        before = _head(runtime)
        actor = Actor(subject=settings.actor, role="operator")
        apply_chart_file(runtime, folder / "accounts.yaml", book=None, actor=actor)
        _close_all(runtime, folder, as_of, result, progress)
        _gather(runtime, result)
        result.changed = _head(runtime) != before
        _compare(runtime, truth, result)
        _verify(runtime, result, progress)
    result.urls = {name: url for name, url in status_of(settings)["urls"].items() if name != "database"}
    result.seconds = time.monotonic() - started
    return result


def _sample(folder: Path, *, days: int, per_day: int, seed: int, progress: Progress) -> dict[str, Any]:
    from sample import PROVIDERS, make_sample

    if not (folder / "truth.json").exists():
        progress("making the sample")
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        make_sample(
            making,
            days=days,
            per_day=per_day,
            seed=seed,
            clean=False,
            providers=tuple(PROVIDERS),
            statements=STATEMENTS,
        )
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return truth


def _close_all(runtime: Runtime, folder: Path, as_of: date, result: DemoResult, progress: Progress) -> None:
    from orchestration.close import close

    first = min(date.fromisoformat(day) for day in _entry_days(folder))
    nights = [as_of - timedelta(days=back) for back in range(NIGHTS - 1, -1, -1)]
    ranges = [(first, nights[0] - timedelta(days=1)), *((night, night) for night in nights)]
    delivered_until = date.min
    for begin, end in ranges:
        _deliver(folder, runtime.home / "landing", after=delivered_until, until=end)
        delivered_until = end
        progress(f"closing {begin}" + (f"..{end}" if end != begin else ""))
        closed = close(runtime, first=begin, last=end, progress=progress)
    result.verdict = closed.verdict
    result.report = str(closed.report)


def _entry_days(folder: Path) -> set[str]:
    with (folder / "entries.jsonl").open() as lines:
        return {json.loads(line)["effective_at"][:10] for line in lines}


def _deliver(folder: Path, landing: Path, *, after: date, until: date) -> None:
    """Put into the landing folders what has come by the evening of `until`: what is already there stays as it is."""
    entries = landing / "entries" / f"entries-{until}.jsonl"
    entries.parent.mkdir(parents=True, exist_ok=True)
    if not entries.exists():
        with (folder / "entries.jsonl").open() as lines:
            due = [line for line in lines if after < _effective_on(line) <= until]
        making = entries.with_suffix(".making")
        making.write_text("".join(due))
        making.rename(entries)
    for each in json.loads((folder / "deliveries.json").read_text()):
        target = landing / each["source"] / each["account"] / Path(each["file"]).name
        if date.fromisoformat(each["on"]) <= until and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / each["file"], target)


def _effective_on(line: str) -> date:
    return date.fromisoformat(json.loads(line)["effective_at"][:10])


def _head(runtime: Runtime) -> int:
    from ledger_core.reading.heads import read_head

    runtime.ledger()
    with runtime.engine.connect() as connection:
        return read_head(connection, runtime.settings.book).signed_size


def _gather(runtime: Runtime, result: DemoResult) -> None:
    from reconciliation.runs.run import latest_run

    with runtime.engine.connect() as connection:
        run = latest_run(connection, runtime.settings.book)
        counts = connection.exec_driver_sql(
            "select (select count(*) from ledger.posted_entries where book = %(book)s),"
            " (select coalesce(sum(rows_accepted), 0) from raw.current_files where book = %(book)s)",
            {"book": runtime.settings.book},
        ).one()
    result.entries, result.items_landed = int(counts[0]), int(counts[1])
    result.signed_size = _head(runtime)
    result.match_rate = float(run.match_rate)


def _compare(runtime: Runtime, truth: dict[str, Any], result: DemoResult) -> None:
    from reconciliation.breaks.queue import list_breaks

    with runtime.engine.connect() as connection:
        rows = [item.as_json() for item in list_breaks(connection, runtime.settings.book, status="open")]
    found, planted = Counter(map(_signature, rows)), Counter(map(_signature, truth["breaks"]))
    result.breaks = dict(Counter(row["class"] for row in rows))
    result.not_found = sorted((planted - found).elements())
    result.invented = sorted((found - planted).elements())


def _signature(row: dict[str, Any]) -> str:
    return " ".join(str(row[name]) for name in ("class", "leg", "key", "currency", "amount_minor"))


def _verify(runtime: Runtime, result: DemoResult, progress: Progress) -> None:
    from ledger_core.log.verifier import verify_path

    progress("verifying the archive")
    report = verify_path(runtime.archive.place(""), runtime.trust_path)
    result.verification = report.verdict
    result.segments_verified = report.segments
