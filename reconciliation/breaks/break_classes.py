"""The classes of breaks, read from the one place where they stand: the seed `break_classes.csv` of the dbt project.

The same file is a table that the marts and the merge join, so texts, paths, bridge and closing cannot part ways. What
each column means stands in the seed's yml. A class that the seed does not know, because an older version of the rules
found it, reads as its own name.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reconciliation.runs.code_version import project_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakClass:
    """One class as people and reports need it."""

    name: str
    title: str
    meaning: str = ""
    differs_at: frozenset[str] = frozenset()
    """Stations of an item's path that show a difference: `ledger`, `provider`, `payout`, `bank`."""
    unknown_at: frozenset[str] = frozenset()
    """Stations of which a break of this class says nothing, so that their silence is none."""
    is_second_entry: bool = False
    """The item has met another entry already."""


def seed_path() -> Path:
    """Return the file that says all of it."""
    return project_folder() / "seeds" / "break_classes.csv"


@cache
def break_classes() -> Mapping[str, BreakClass]:
    """Return every class of the seed, by name."""
    with seed_path().open(newline="", encoding="utf-8") as stream:
        return {
            row["class"]: BreakClass(
                name=row["class"],
                title=row["title"],
                meaning=row["meaning"],
                differs_at=frozenset(row["differs_at"].split()),
                unknown_at=frozenset(row["unknown_at"].split()),
                is_second_entry=row["is_second_entry"] == "true",
            )
            for row in csv.DictReader(stream)
        }


def break_class(name: str) -> BreakClass:
    """Return the class called `name`; one that the seed does not know has its name for a title and nothing else."""
    return break_classes().get(name) or BreakClass(name=name, title=name.replace("_", " ").capitalize())
