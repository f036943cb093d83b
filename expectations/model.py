"""What a suite is before Great Expectations sees it: batches (queries) and the expectations upon them, as plain data.

The orchestrator lists the checks, the tests read them and the page explains them without importing the library, which
costs nine CPU-seconds. Identities of modelled tables are dbt's, invariants of the ledger are the database's; here is
what a pipeline cannot promise: that files came, whole, and look like those of the weeks before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

Severity = Literal["error", "warn"]
"""`error`: an invariant is broken. `warn`: a break or drift, which people look at; it never turns the graph red."""

Unit = Literal["number", "times", "points"]
"""How the figure of a range is read: as it is, as a multiple of the usual, as a share whose points are hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one validation looks at: a book and the days of a run, both included.

    The values go into the text of queries, so they are checked here and nowhere else.
    """

    book: str
    first: date
    last: date

    def __post_init__(self) -> None:
        if not self.book or not all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in self.book):
            raise ValueError(f"{self.book!r} is no name of a book")

    def fill(self, query: str) -> str:
        """Return `query` with `:book`, `:first` and `:last` written out as literals."""
        values = {":book": self.book, ":first": self.first.isoformat(), ":last": self.last.isoformat()}
        for name, value in values.items():
            query = query.replace(name, f"'{value}'")
        return query


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that expectations look at: one query, with the scope's names in it."""

    name: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One sentence about a batch; `kind` and `arguments` are Great Expectations' own."""

    name: str
    batch: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity
    description: str
    unit: Unit = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The expectations of one source (or of the ledger), shown as checks of `asset`."""

    name: str
    asset: tuple[str, str]
    batches: tuple[Batch, ...]
    expectations: tuple[Expectation, ...]

    def batch(self, name: str) -> Batch:
        return next(batch for batch in self.batches if batch.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one expectation, in figures: never a row of a customer."""

    suite: str
    expectation: Expectation
    passed: bool
    unexpected_count: int
    rows: int | None
    """Rows of the batch; None when they could not be counted."""
    checked: int | None
    """Those of them that had a value to judge; with none of them it has passed and says nothing."""
    low: Decimal | None = None
    high: Decimal | None = None
    """The least and the greatest figure that a range was asked about."""
    error: str | None = None
    """Why it could not be evaluated; such an outcome has not passed."""


def rows_refused(name: str, batch: str, where: str, *, severity: Severity, description: str) -> Expectation:
    """Return the expectation that no row of `batch` satisfies the SQL condition `where`."""
    return Expectation(
        name=name,
        batch=batch,
        kind="UnexpectedRowsExpectation",
        arguments={"unexpected_rows_query": f"select * from {{batch}} where {where}"},  # noqa: S608 - our own SQL
        severity=severity,
        description=description,
    )


def never_null(column: str, batch: str, *, severity: Severity, description: str, mostly: float = 1.0) -> Expectation:
    """Return the expectation that `column` is filled in at least the share `mostly` of the rows."""
    return Expectation(
        name=f"{batch}_{column}_is_filled",
        batch=batch,
        kind="ExpectColumnValuesToNotBeNull",
        arguments={"column": column, "mostly": mostly},
        severity=severity,
        description=description,
    )


def one_of(column: str, batch: str, values: list[str], *, severity: Severity, description: str) -> Expectation:
    """Return the expectation that `column` holds nothing but `values`."""
    return Expectation(
        name=f"{batch}_{column}_is_known",
        batch=batch,
        kind="ExpectColumnValuesToBeInSet",
        arguments={"column": column, "value_set": values},
        severity=severity,
        description=description,
    )


def matches(column: str, batch: str, regex: str, *, severity: Severity, description: str) -> Expectation:
    """Return the expectation that every filled value of `column` matches `regex` (Postgres)."""
    return Expectation(
        name=f"{batch}_{column}_has_its_form",
        batch=batch,
        kind="ExpectColumnValuesToMatchRegex",
        arguments={"column": column, "regex": regex},
        severity=severity,
        description=description,
    )


def between(
    name: str,
    column: str,
    batch: str,
    low: float | None,
    high: float | None,
    *,
    severity: Severity,
    description: str,
    unit: Unit = "number",
) -> Expectation:
    """Return the expectation that every filled value of `column` lies in `low`..`high`, both included."""
    return Expectation(
        name=name,
        batch=batch,
        kind="ExpectColumnValuesToBeBetween",
        arguments={"column": column, "min_value": low, "max_value": high},
        severity=severity,
        description=description,
        unit=unit,
    )
