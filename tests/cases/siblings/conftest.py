"""Companies that stand next to the known cases: one step further in amount, order, account or direction.

They are made by the builders of the matching cases and share one book and one run. What a company's banks and providers
say in files of their own is kept in `files`, landed after the rest in the order given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cases.matching.conftest import companies, make_case, open_book

__all__ = ["open_book"]

Told = tuple[str, str, int | None]
"""Class, leg and amount of a break; `None` where only the class counts."""


@dataclass(frozen=True)
class Sibling:
    """How a company is made, which answers are right of it, and which reasons its files give."""

    name: str
    make: Callable[[Any], None]
    right: tuple[tuple[Told, ...], ...]
    reasons: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Company(companies.Case):  # type: ignore[misc]
    """A company with files of its own beside those that the builder writes."""

    files: list[tuple[str, str, str]] = field(default_factory=list)
    """Source, name and text."""

    def report(self, name: str, rows: list[dict[str, str]], columns: tuple[str, ...] = companies.ITEM_COLUMNS) -> None:
        """Add a report of `rows` under `name`."""
        lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
        self.files.append(("stripe_report", name, "".join(f"{line}\n" for line in lines)))


@pytest.fixture(scope="session")
def make_company() -> Callable[..., Company]:
    return Company


_ = make_case
