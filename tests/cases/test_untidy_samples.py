"""Files as they really come: whatever the dirt, what was planted is found, and nothing else is, nor called missing.

Each kind of dirt is a book of its own in one database; the sample's truth is the same with it and without.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime
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


def load(runtime: Runtime, folder: Path, book: str, *, backwards: bool) -> None:
    """Post and land everything, in the order in which it came or the other way round."""
    apply_chart_file(runtime, folder / "accounts.yaml", book=book, actor=Actor(subject="test"))
    post_file(runtime.ledger(book), runtime.engine, folder / "entries.jsonl", actor=Actor(subject="test"))
    deliveries = json.loads((folder / "deliveries.json").read_text())
    for each in reversed(deliveries) if backwards else deliveries:
        path, account = folder / each["file"], each["account"] or None
        landed = land(runtime, source=each["source"], paths=[path], account=account, book=book)
        assert {file.status for file in landed} <= {"landed", "already_landed"}, [file.error for file in landed]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: "-".join(map(str, [*asked["dirt"], asked["accounts"]]))[:60])
def test_untidy_files_change_nothing_of_what_is_found(runtime: Runtime, tmp_path: Path, asked: dict) -> None:
    folder, book = tmp_path / "sample", runtime.settings.book
    summary = make_sample(folder, days=24, per_day=60, seed=9, book=book, **asked)
    load(runtime, folder, book, backwards=len(asked["dirt"]) > 1)

    run = reconcile(runtime)

    with runtime.engine.connect() as connection:
        found = Counter(tuple(row.as_json()[name] for name in NAMES) for row in list_breaks(connection, book))
    truth = json.loads((folder / "truth.json").read_text())
    planted = Counter(tuple(row[name] for name in NAMES) for row in truth["breaks"])
    assert found == planted, {"missed": planted - found, "invented": found - planted}
    assert run.as_of == summary.as_of == date.fromisoformat(truth["as_of"])
    assert run.verdict == "breaks", run.reasons
