"""A break class is added by the recipe's two files, a row and a model, and everything that reads breaks knows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.reversals import reverse
from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.journal.entries import parse_entry
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from reconciliation.breaks import break_classes as classes
from reconciliation.breaks.queue import list_breaks
from reconciliation.report import render_report
from reconciliation.runs import code_version, dbt_runner
from reconciliation.runs.run import reconcile
from sample.writer import make_sample

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")

ROW = (
    "off_by_one,P3,false,Off by one unit,a minor unit was rounded away,off_by_one,,no_longer_found,"
    "ledger provider,,false\n"
)
BEFORE = "            -- Only the fee differs when"
WHEN = "            when abs(ledger_items.net_minor - psp_items.net_minor) = 1 then 'off_by_one'\n"


@pytest.fixture
def with_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Follow the recipe in a copy of the dbt project, and have this process use the copy."""
    project = tmp_path / "dbt"
    shutil.copytree(code_version.project_folder(), project, ignore=shutil.ignore_patterns("target", "logs"))
    with (project / "seeds" / "break_classes.csv").open("a") as seed:
        seed.write(ROW)
    model = project / "models" / "intermediate" / "int_match_unequal.sql"
    text = model.read_text()
    assert text.count(BEFORE) == 1
    model.write_text(text.replace(BEFORE, WHEN + BEFORE))
    for module in (code_version, dbt_runner, classes):
        monkeypatch.setattr(module, "project_folder", lambda: project)
    classes.break_classes.cache_clear()
    yield
    classes.break_classes.cache_clear()


def rounded(entries: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a minor unit from a sale, on both sides; return the entry as it is now, and as it was."""
    entry = next(each for each in entries if len(each["postings"]) == 3 and each["external_id"].startswith("stripe:"))
    right = json.loads(json.dumps(entry))
    for posting in (entry["postings"][0], entry["postings"][-1]):
        posting["amount"] = str(int(posting["amount"]) - 1)
    return entry, right


@pytest.mark.usefixtures("with_the_class")
def test_a_class_of_one_row_and_one_line_is_found_reported_bridged_and_closed(runtime: Runtime, tmp_path: Path) -> None:
    folder, book = tmp_path / "sample", runtime.settings.book
    make_sample(folder, days=10, per_day=40, seed=5, clean=True)
    entries = [json.loads(line) for line in (folder / "entries.jsonl").read_text().splitlines()]
    wrong, right = rounded(entries)
    (folder / "entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    apply_chart_file(runtime, folder / "accounts.yaml", book=book, actor=ACTOR)
    post_file(runtime.ledger(book), runtime.engine, folder / "entries.jsonl", actor=ACTOR)
    land(runtime, source="stripe_report", paths=[folder / "stripe"], book=book)
    land(runtime, source="camt053", paths=[folder / "bank"], book=book)
    result = reconcile(runtime)
    assert result.verdict == "breaks", result.reasons
    with runtime.engine.connect() as connection:
        (found,) = list_breaks(connection, book, status="open")
        steps = connection.exec_driver_sql(
            "select step, amount_minor from analytics.fct_reconciliation_bridge "
            "where leg = 'A' and step in ('off_by_one', 'residual') and (amount_minor <> 0 or step <> 'residual')"
        ).all()
        page = render_report(connection, result.run_id)
    assert (found.break_class, found.priority, found.amount_minor) == ("off_by_one", "P3", -1)
    assert [tuple(step) for step in steps] == [("off_by_one", -1)]
    assert "Off by one unit" in page

    ledger = runtime.ledger(book)
    effective_at = datetime.fromisoformat(right["effective_at"]).astimezone(UTC)
    reverse(ledger, runtime.engine, wrong["external_id"], actor=ACTOR, now=effective_at, effective_at=effective_at)
    ledger.append([parse_entry(right | {"external_id": "stripe:again"})], Ask(actor=ACTOR), atomic=True)
    assert reconcile(runtime).verdict == "reconciled"
    with runtime.engine.connect() as connection:
        assert list_breaks(connection, book, status="open") == []
        (closed,) = list_breaks(connection, book, status=None)
    assert (closed.status, closed.resolution) == ("closed", "no_longer_found")
