"""The classes of breaks stand in one seed, and nothing beside it keeps a list of them."""

from __future__ import annotations

import csv
from pathlib import Path

from ingest.contract.vocabulary import SourceKind
from reconciliation.breaks.break_classes import break_class, break_classes, seed_path
from reconciliation.runs.code_version import project_folder

ROOT = Path(__file__).parents[3]
FOUND_IN = ("int_item_differences", "int_payout_differences", "int_match_unequal", "int_bank_unmatched")


def test_every_class_is_one_that_the_models_find():
    models = "".join((project_folder() / f"models/intermediate/{name}.sql").read_text() for name in FOUND_IN)
    assert [name for name in break_classes() if f"'{name}'" not in models] == []


def test_no_other_place_names_a_class():
    readers = [*(project_folder() / "models/marts").glob("*.sql")]
    for room in ("reconciliation", "expectations", "orchestration"):
        readers += [path for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".j2", ".js"}]
    quoted = [f"{mark}{name}{mark}" for name in break_classes() for mark in "'\""]
    assert len(readers) > 40
    assert [(path.name, word) for path in readers for word in quoted if word in path.read_text()] == []


def test_each_class_says_what_readers_of_the_seed_understand():
    with seed_path().open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == list(break_classes())
    for row in rows:
        assert row["closes_as"] in {"matched_late", "no_longer_found"}
        assert row["awaits_kind"] in {"", *SourceKind}
        assert row["title"]
        assert row["meaning"]
    for known in break_classes().values():
        assert known.differs_at | known.unknown_at <= {"ledger", "provider", "payout", "bank"}
        assert not known.differs_at & known.unknown_at


def test_a_class_of_an_older_version_reads_as_its_own_name():
    assert break_class("gone_with_the_rules").title == "Gone with the rules"
    assert break_class("duplicate_ledger").title == "Booked twice"
