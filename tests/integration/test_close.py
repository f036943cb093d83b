"""The nightly close, as the command line runs it: the whole job in this process on real parts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ledger_core.actor import Actor
from ledger_core.errors import DependencyError, InvalidInput
from ledger_core.files.chart import apply_chart_file
from ledger_core.log.verifier import verify_path
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.child import child_environment
from ledger_core.settings.rooms import OrchestrationSettings
from orchestration import close as close_module
from orchestration.close import close
from orchestration.lock import one_close
from sample import make_sample

pytestmark = pytest.mark.integration
FOLDERS = {"stripe": "stripe_report", "bank": "camt053"}
KILLED_AT = ("post entries", "merging the breaks", "export", "export into a bucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    folder: Path
    first: date
    last: date
    planted: dict[str, int]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("sample") / "month"
    make_sample(folder, days=16, per_day=20, seed=11, clean=False)
    truth = json.loads((folder / "truth.json").read_text())
    last = date.fromisoformat(truth["as_of"])
    return Month(folder=folder, first=last - timedelta(days=15), last=last, planted=truth["counts"])


def test_a_range_and_a_night_find_what_was_planted_and_closing_them_again_changes_nothing(
    runtime: Runtime, month: Month
) -> None:
    night_before = month.last - timedelta(days=1)
    deliver(runtime, month, until=night_before)
    first = close(runtime, first=month.first, last=night_before)
    assert first.changed
    deliver(runtime, month, until=None)
    second = close(runtime, first=month.last, last=month.last)
    assert second.breaks_by_class == month.planted
    assert second.verdict == "breaks"
    before = state_of(runtime.engine)
    again = [
        close(runtime, first=month.first, last=night_before),
        close(runtime, first=month.last, last=month.last),
    ]
    assert [result.changed for result in again] == [False, False]
    assert [result.run_id for result in again] == [first.run_id, second.run_id]
    assert state_of(runtime.engine) == before
    assert "Nothing had changed" in again[1].as_lines()[-1]
    assert json.dumps(again[1].as_json(), default=str)
    # A planted break warns and never turns the graph red.
    failed = {(check["name"], check["severity"]) for check in second.checks if not check["passed"]}
    assert {severity for _, severity in failed} == {"WARN"}
    assert ("no_open_breaks", "WARN") in failed
    page = Path(second.report).read_text()
    assert f"<b>{sum(month.planted.values())}</b>" in page


@pytest.mark.parametrize("step", KILLED_AT)
def test_a_close_that_is_killed_is_finished_by_the_same_command(
    settings: Settings, engine: Engine, month: Month, step: str, request: pytest.FixtureRequest
) -> None:
    step, _, bucket = step.partition(" into a ")
    if bucket:  # which a killed process leaves otherwise than a folder
        settings = settings.model_copy(update={"archive": request.getfixturevalue(bucket).settings})
    with open_runtime(settings) as runtime:
        deliver(runtime, month, until=None)
        killed_close(settings, month, step)
        result = close(runtime, first=month.first, last=month.last)
        assert result.breaks_by_class == month.planted
        entries = len((month.folder / "entries.jsonl").read_text().splitlines())
        with engine.connect() as connection:
            counts = connection.execute(
                text(
                    "select (select count(*) from ledger.entries) as entries,"
                    " (select count(*) from ledger.records where kind = 'reconciliation_run') as runs,"
                    " (select count(*) from ledger.exports) as exports,"
                    " (select count(*) from recon.breaks) as breaks,"
                    " (select count(*) from raw.files) as files,"
                    " (select count(distinct sha256) from raw.files) as contents"
                )
            ).one()
            unfinished = connection.execute(
                text("select count(*) from dagster.runs where status in ('STARTED', 'STARTING', 'NOT_STARTED')")
            ).scalar_one()
        assert (counts.entries, counts.runs, counts.exports) == (entries, 1, 1)
        assert counts.breaks == sum(month.planted.values())
        assert counts.files == counts.contents
        assert unfinished == 0
        assert result.segment.startswith(runtime.archive.uri.removeprefix("file://"))
        report = verify_path(runtime.archive.place(""), runtime.trust_path)
        assert (report.verdict, report.segments) == ("verified", 1), report.as_lines()


def test_a_second_close_does_not_start_while_one_runs(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(close_module, "LOCK_WAIT_SECONDS", 0.3)
    today = runtime.clock().date()
    with one_close(runtime.engine, wait_seconds=0), pytest.raises(DependencyError, match="another close is running"):
        close(runtime, first=today, last=today)


def test_days_that_have_not_begun_or_lie_before_the_first_are_refused(runtime: Runtime) -> None:
    today = runtime.clock().date()
    with pytest.raises(InvalidInput, match="has not begun"):
        close(runtime, first=today, last=today + timedelta(days=1))
    with pytest.raises(InvalidInput, match="one run closes at most"):
        close(runtime, first=date(1926, 1, 1), last=today)
    with pytest.raises(InvalidInput, match="lies after"):
        close(runtime, first=today, last=today - timedelta(days=1))
    runtime.settings = runtime.settings.model_copy(
        update={"orchestration": OrchestrationSettings(first_close_on=today)}
    )
    with pytest.raises(InvalidInput, match="before the first day"):
        close(runtime, first=today - timedelta(days=1), last=today)


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_closed(runtime: Runtime, month: Month) -> None:
    deliver(runtime, month, until=None)
    bad = runtime.home / "landing" / "camt053" / "aaa-not-a-statement.xml"
    bad.write_text("<html>no</html>")
    with pytest.raises(InvalidInput, match=r"aaa-not-a-statement\.xml"):
        close(runtime, first=month.first, last=month.last)
    bad.unlink()
    result = close(runtime, first=month.first, last=month.last)
    assert not result.changed
    assert result.breaks_by_class == month.planted


def test_an_entry_that_is_malformed_stops_the_close_with_its_line(runtime: Runtime, month: Month) -> None:
    deliver(runtime, month, until=None)
    entries = runtime.home / "landing" / "entries" / "entries.jsonl"
    lines = entries.read_text().splitlines()
    entries.write_text("\n".join([*lines[:4], '{"nonsense": true}', *lines[5:]]))
    with pytest.raises(InvalidInput) as raised:
        close(runtime, first=month.first, last=month.last)
    assert raised.value.line == 5
    assert state_of(runtime.engine)["ledger.entries"] == 0


def deliver(runtime: Runtime, month: Month, *, until: date | None) -> None:
    """Put into the landing folders what has come by the evening of `until`, or everything."""
    apply_chart_file(runtime, month.folder / "accounts.yaml", book=None, actor=Actor(subject="test"))
    landing = runtime.home / "landing"
    (landing / "entries").mkdir(parents=True, exist_ok=True)
    lines = (month.folder / "entries.jsonl").read_text().splitlines()
    due = [line for line in lines if until is None or json.loads(line)["effective_at"][:10] <= until.isoformat()]
    (landing / "entries" / "entries.jsonl").write_text("\n".join(due))
    for name, source in FOLDERS.items():
        (landing / source).mkdir(exist_ok=True)
        for path in (month.folder / name).iterdir():
            if until is None or month.last.isoformat() not in path.name:
                shutil.copy2(path, landing / source / path.name)


def killed_close(settings: Settings, month: Month, step: str) -> None:
    """Run the close in a process of its own that is killed the moment after it says `step`.

    It kills itself: on a busy machine whoever listens may be woken when the step, and the close, are long over.
    """
    code = (
        "import os, signal, sys, threading, time\n"
        "from datetime import date\n"
        "from ledger_core.settings import load_settings\n"
        "from ledger_core.runtime import open_runtime\n"
        "from orchestration.close import close\n"
        "def said(word):\n"
        "    print(word, flush=True)\n"
        "    if word.startswith(sys.argv[3]):\n"
        "        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGKILL)).start()  # into it, not before it\n"
        "with open_runtime(load_settings()) as runtime:\n"
        "    first, last = map(date.fromisoformat, sys.argv[1:3])\n"
        "    close(runtime, first=first, last=last, progress=said)\n"
        "    time.sleep(5)\n"
    )
    environment = child_environment(settings) | {
        "COUNTERFOIL_ENV": "test",
        "DATABASE_URL": settings.database_url or "",
    }
    finished = subprocess.run(
        [sys.executable, "-c", code, str(month.first), str(month.last), step],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert finished.returncode == -signal.SIGKILL, (finished.stdout, finished.stderr)


def state_of(engine: Engine) -> dict[str, Any]:
    """Return the size of everything that a close may write, but for Dagster's own events."""
    tables = (
        "ledger.records", "ledger.entries", "ledger.exports", "raw.files", "raw.camt053_lines",
        "raw.stripe_report_payout_reconciliation", "recon.runs", "recon.breaks", "recon.break_events",
    )  # fmt: skip
    with engine.connect() as connection:
        return Counter(
            {table: connection.execute(text(f"select count(*) from {table}")).scalar_one() for table in tables}
        )
