"""The waterfall against samples whose truth is known: every planted break found, none invented, in whatever order."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import pytest

from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from reconciliation.breaks.queue import list_breaks
from reconciliation.runs.run import RunResult, reconcile
from sample.writer import make_sample

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
Signature = tuple[str, str, str, str, str]


@pytest.fixture
def fresh_runtime(postgres: tuple[EmbeddedPostgres, int], tmp_path: Path) -> Iterator[Callable[[str], Runtime]]:
    """More runtimes, each with a home and a database of its own, cloned from the migrated template."""
    embedded, port = postgres
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with ExitStack() as stack:

        def make(name: str) -> Runtime:
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"create database {name} template counterfoil_template")
            home = tmp_path / name
            stack.callback(stop_all, home)
            settings = Settings(home_path=home, database_url=embedded.url(port, name), env="test", actor="test")
            return stack.enter_context(open_runtime(settings))

        yield make
    admin.dispose()


def stop_all(home: Path) -> None:
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


def load(runtime: Runtime, folder: Path) -> None:
    book = runtime.settings.book
    apply_chart_file(runtime, folder / "accounts.yaml", book=book, actor=ACTOR)
    post_file(runtime.ledger(book), runtime.engine, folder / "entries.jsonl", actor=ACTOR)
    for each in json.loads((folder / "deliveries.json").read_text()):
        path, account = folder / each["file"], each["account"] or None
        landed = land(runtime, source=each["source"], paths=[path], account=account, book=book)
        assert {file.status for file in landed} <= {"landed", "already_landed"}, [file for file in landed if file.error]


def planted(folder: Path) -> Counter[Signature]:
    truth = json.loads((folder / "truth.json").read_text())
    return Counter(signature(item) for item in truth["breaks"])


def found(runtime: Runtime) -> Counter[Signature]:
    with runtime.engine.connect() as connection:
        return Counter(signature(item.as_json()) for item in list_breaks(connection, runtime.settings.book))


def signature(item: dict[str, str]) -> Signature:
    return item["class"], item["leg"], item["key"], item["currency"], item["amount_minor"]


def shuffle(folder: Path, seed: int) -> None:
    """Put the rows of every CSV report in another order."""
    chance = random.Random(seed)
    for path in sorted((folder / "stripe").glob("*.csv")):
        with path.open(newline="") as stream:
            header, *rows = list(csv.reader(stream))
        chance.shuffle(rows)
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])


def shuffle_entries(folder: Path, seed: int) -> None:
    path = folder / "entries.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    path.write_text("".join(lines))


def assert_equals_truth(runtime: Runtime, folder: Path) -> None:
    expected, actual = planted(folder), found(runtime)
    assert actual == expected, {"missed": expected - actual, "invented": actual - expected}


@pytest.mark.parametrize("seed", [1, 7, 4242])
def test_every_planted_break_is_found_and_none_is_invented(runtime: Runtime, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "sample"
    summary = make_sample(folder, days=21, per_day=60, seed=seed)
    load(runtime, folder)
    result = reconcile(runtime)
    assert result.as_of == summary.as_of
    assert_equals_truth(runtime, folder)
    assert result.verdict == "breaks", result.reasons
    assert result.created


def test_a_company_on_three_providers_has_every_planted_break_found(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    make_sample(folder, days=21, per_day=120, seed=7, providers=("stripe", "adyen", "paypal"))
    load(runtime, folder)
    result = reconcile(runtime)
    assert_equals_truth(runtime, folder)
    assert result.verdict == "breaks", result.reasons


def test_a_clean_company_on_paypal_is_reconciled(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    make_sample(folder, days=14, per_day=60, seed=3, providers=("paypal", "stripe"), clean=True)
    load(runtime, folder)
    result = reconcile(runtime)
    assert (result.verdict, found(runtime)) == ("reconciled", Counter()), result.reasons


def test_a_clean_sample_is_reconciled_and_cut_earlier_it_is_pending(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    summary = make_sample(folder, days=14, per_day=60, seed=11, clean=True)
    load(runtime, folder)
    earlier = reconcile(runtime, to=summary.first_on + timedelta(days=8))
    assert earlier.verdict == "reconciled_with_pending", (earlier.reasons, earlier.counts)
    assert found(runtime) == Counter()
    result = reconcile(runtime)
    assert result.verdict == "reconciled", (result.reasons, result.counts)
    assert found(runtime) == Counter()
    assert result.match_rate == "1.000000"


def test_equal_input_is_one_run_and_shuffled_rows_give_the_same_outputs(
    runtime: Runtime, tmp_path: Path, fresh_runtime: Callable[[str], Runtime]
) -> None:
    folder = tmp_path / "sample"
    make_sample(folder, days=16, per_day=60, seed=23)
    load(runtime, folder)
    first = reconcile(runtime)
    again = reconcile(runtime)
    assert (again.run_id, again.created, again.record_seq) == (first.run_id, False, first.record_seq)

    shuffle(folder, seed=5)
    shuffle_entries(folder, seed=6)
    other = fresh_runtime("shuffled")
    load(other, folder)
    second = reconcile(other)
    assert second.run_id != first.run_id
    assert second.manifest["outputs"] == first.manifest["outputs"]
    assert_equals_truth(other, folder)


def test_a_run_of_an_older_day_restates_it_and_leaves_the_open_breaks_alone(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    summary = make_sample(folder, days=21, per_day=60, seed=3)
    load(runtime, folder)
    newest = reconcile(runtime)
    before = found(runtime)
    older = reconcile(runtime, to=summary.as_of - timedelta(days=6))
    assert older.created
    assert not older.merged
    assert sum(older.breaks_by_class.values()) < sum(newest.breaks_by_class.values())
    assert found(runtime) == before
    back = reconcile(runtime)
    assert (back.run_id, back.created) == (newest.run_id, False)
    assert marts_day(runtime) == summary.as_of


def test_runs_night_by_night_end_where_one_run_of_the_whole_range_ends(runtime: Runtime, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    summary = make_sample(folder, days=18, per_day=60, seed=31)
    load(runtime, folder)
    results: list[RunResult] = []
    for days_before in (6, 3, 1, 0):
        results.append(reconcile(runtime, to=summary.as_of - timedelta(days=days_before)))
    assert all(result.merged for result in results)
    assert_equals_truth(runtime, folder)


def marts_day(runtime: Runtime) -> date:
    with runtime.engine.connect() as connection:
        day: date = connection.exec_driver_sql(
            "select max(stated_on) from analytics.fct_reconciliation_statement"
        ).scalar_one()
        return day
