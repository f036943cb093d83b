"""What the page shows, as plain data: the reader fills it, the template prints it, neither knows the other.

Amounts are `Money`, whole minor units and signed; a rate is a pair of counts and never a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ledger_core.journal.money import Money
from reconciliation.runs.match_rate import items_due, rate_in

AGE_BUCKETS: tuple[tuple[str, int | None], ...] = (
    ("0-1 days", 1),
    ("2-5 days", 5),
    ("6-10 days", 10),
    ("11-30 days", 30),
    ("over 30 days", None),
)
"""Name and highest age, in days."""
MAX_BREAKS_LISTED = 2_000
"""A page of more rows helps nobody; the page says how many it leaves out, `breaks list` has them all."""
MAX_PENDING_LISTED = 500
BASIS_POINTS = 10_000
MAX_CHANGES_LISTED = 200
"""Of each kind: a good night closes a thousand breaks, and nobody reads them one by one."""
MAX_FILES_LISTED = 500
MAX_COVERAGE_DAYS = 92
"""A quarter of each source; the columns beside count every day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What matched, broke and waits of a provider, leg and currency."""

    provider: str
    leg: str
    currency: str
    matched: int
    breaks: int = 0
    pending: int = 0

    @property
    def due(self) -> int:
        """Return how many items the rate is of."""
        return items_due(matched=self.matched, breaks=self.breaks)

    @property
    def basis_points(self) -> int | None:
        """Return the match rate in hundredths of a percent: 100.00 % means every single one."""
        return rate_in(BASIS_POINTS, matched=self.matched, breaks=self.breaks)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """One earlier run in the chart."""

    run_id: str
    as_of: date
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One stop of an item's way: ledger, provider, payout, bank.

    `state` is `met`, `differs`, `missing`, `waiting` or `unknown`.
    """

    place: str
    state: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    amount: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakRow:
    """One open break, with the way of its item."""

    break_id: str
    break_class: str
    leg: str
    key: str
    keys: tuple[str, ...]
    amount: Money
    ledger: Money | None
    psp: Money | None
    bank: Money | None
    priority: str
    status: str
    opened_on: date | None
    age_days: int
    assignee: str | None
    is_new: bool
    path: tuple[Station, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTotal:
    """How many breaks of a class, an age and a currency there are, on the page or not."""

    break_class: str
    priority: str
    bucket: int
    """Index into `AGE_BUCKETS`."""
    count: int
    amount: Money


def bucket_of(age_days: int) -> int:
    """Return the index of an age in `AGE_BUCKETS`."""
    return next(index for index, (_, high) in enumerate(AGE_BUCKETS) if high is None or age_days <= high)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRow:
    leg: str
    provider: str
    key: str
    break_class: str
    amount: Money
    base_on: date | None
    grace_until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """`opening + opened - closed = closing`, as counts and as an amount, for a leg, provider and currency."""

    leg: str
    provider: str
    currency: str
    opening_count: int
    opened_count: int
    closed_count: int
    closing_count: int
    opening: Money
    opened: Money
    closed: Money
    closing: Money

    @property
    def holds(self) -> bool:
        return (
            self.opening_count + self.opened_count - self.closed_count == self.closing_count
            and self.opening.amount_minor + self.opened.amount_minor - self.closed.amount_minor
            == self.closing.amount_minor
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeStep:
    label: str
    count: int | None
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """From one balance to another by what explains the difference; `unexplained` should be zero."""

    leg: str
    provider: str
    currency: str
    start_label: str
    start: Money
    steps: tuple[BridgeStep, ...]
    end_label: str
    end: Money

    @property
    def unexplained(self) -> Money:
        explained = self.start.amount_minor + sum(step.amount.amount_minor for step in self.steps)
        return Money(amount_minor=self.end.amount_minor - explained, currency=self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageDay:
    on: date
    state: str
    """`complete`, `partial`, `missing` or `not_expected`."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    source: str
    days: tuple[CoverageDay, ...]

    @property
    def shown(self) -> tuple[CoverageDay, ...]:
        return self.days[-MAX_COVERAGE_DAYS:]

    def count(self, state: str) -> int:
        return sum(1 for day in self.days if day.state == state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A break that is not as the run before left it: `opened`, `closed` or `reclassified`."""

    kind: str
    break_id: str
    leg: str
    key: str
    amount: Money
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTotal:
    """How many breaks changed in one way, the first of them on `since`."""

    kind: str
    count: int
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    source: str
    name: str
    sha256: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything on the page."""

    run_id: str
    book: str
    legal_entity: str
    as_of: date
    recorded_at: datetime | None
    verdict: str
    signed_size: int
    record_seq: int | None
    code_version: str
    previous_as_of: date | None
    rates: tuple[Rate, ...]
    previous_rates: tuple[Rate, ...]
    history: tuple[RunPoint, ...]
    breaks: tuple[BreakRow, ...]
    totals: tuple[ClassTotal, ...]
    pending: tuple[PendingRow, ...]
    pending_total: int
    not_ours: int
    statement: tuple[StatementRow, ...]
    bridges: tuple[Bridge, ...]
    coverage: tuple[Coverage, ...]
    changes: tuple[Change, ...]
    change_totals: tuple[ChangeTotal, ...]
    """Of every kind that there is: `changes` may hold fewer."""
    files: tuple[InputFile, ...]
    files_total: int
    has_marts: bool = True
    """False when the marts hold a later run: what only they know is then left out, and the page says so."""
    reasons: tuple[str, ...] = ()
    """Why the verdict is `incomplete`, in words."""
