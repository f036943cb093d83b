"""Files as they really come: whatever the dirt, what was planted is found, and nothing else is, nor called missing.

Each kind of dirt is a book of its own in one database; the sample's truth is the same with it and without.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

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
from reconciliation.runs.run import reconcile
from sample import DIRT, make_sample

pytestmark = pytest.mark.integration
NAMES = ("class", "leg", "key", "currency", "amount_minor")

ASKED = [
    *({"dirt": [kind], "accounts": 1, "reports": "weekly"} for kind in DIRT),
    {"dirt": [], "accounts": 2, "reports": "daily"},
    {"dirt": list(DIRT), "accounts": 2, "reports": "weekly"},
    {"dirt": list(DIRT), "accounts": 3, "reports": "daily"},
]


@pytest.fixture(scope="module")
def runtime(postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """One runtime for all the books."""
    embedded, port = postgres
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("create database untidy_samples template counterfoil_template"))
    home = tmp_path_factory.mktemp("untidy") / "home"
    settings = Settings(home_path=home, database_url=embedded.url(port, "untidy_samples"), env="test", actor="test")
    with open_runtime(settings) as opened:
        yield opened
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("drop database if exists untidy_samples with (force)"))
    admin.dispose()


def name_of(asked: dict) -> str:
    return "-".join(map(str, [*asked["dirt"], asked["accounts"]]))[:60]


def load(runtime: Runtime, folder: Path, book: str, *, backwards: bool) -> None:
    """Post and land everything, in the order in which it came or the other way round."""
    apply_chart_file(runtime, folder / "accounts.yaml", book=book, actor=Actor(subject="test"))
    post_file(runtime.ledger(book), runtime.engine, folder / "entries.jsonl", actor=Actor(subject="test"))
    deliveries = json.loads((folder / "deliveries.json").read_text())
    for each in reversed(deliveries) if backwards else deliveries:
        path, account = folder / each["file"], each["account"] or None
        landed = land(runtime, source=each["source"], paths=[path], account=account, book=book)
        assert {file.status for file in landed} <= {"landed", "already_landed"}, [file.error for file in landed]


@pytest.mark.parametrize("number", range(len(ASKED)), ids=lambda number: name_of(ASKED[number]))
def test_untidy_files_change_nothing_of_what_is_found(runtime: Runtime, tmp_path: Path, number: int) -> None:
    asked, folder, book = ASKED[number], tmp_path / "sample", f"dirt-{number}"
    summary = make_sample(folder, days=24, per_day=60, seed=9, book=book, **asked)
    load(runtime, folder, book, backwards=len(asked["dirt"]) > 1)

    run = reconcile(runtime, book=book)

    with runtime.engine.connect() as connection:
        found = Counter(tuple(row.as_json()[name] for name in NAMES) for row in list_breaks(connection, book))
    truth = json.loads((folder / "truth.json").read_text())
    planted = Counter(tuple(row[name] for name in NAMES) for row in truth["breaks"])
    assert found == planted, {"missed": planted - found, "invented": found - planted}
    assert run.as_of == summary.as_of == date.fromisoformat(truth["as_of"])
    assert run.verdict == "breaks", run.reasons
