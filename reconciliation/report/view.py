"""What the template needs beyond the report: sums, groups and differences, computed once and testable without HTML."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ledger_core.journal.money import Money
from reconciliation.breaks.break_classes import break_class
from reconciliation.report.amounts import format_rate_change
from reconciliation.report.chart import bar, rate_chart
from reconciliation.report.model import (
    AGE_BUCKETS,
    BASIS_POINTS,
    MAX_CHANGES_LISTED,
    BreakRow,
    Change,
    ChangeTotal,
    ClassTotal,
    Rate,
    Report,
)
from reconciliation.report.words import CHANGES, LEGS, MARKS, VERDICTS
from reconciliation.runs.match_rate import items_due, rate_in


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    rate: Rate
    leg_words: str
    change: int | None
    """Basis points since the last run."""

    @property
    def direction(self) -> str:
        return "flat" if not self.change else "up" if self.change > 0 else "down"

    @property
    def change_words(self) -> str:
        return "—" if self.change is None else format_rate_change(self.change)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    name: str
    words: str
    meaning: str
    counts: tuple[int, ...]
    total: int
    sums: tuple[Money, ...]
    rows: tuple[BreakRow, ...]
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeGroup:
    words: str
    rows: tuple[Change, ...]
    total: int
    command: str
    """What lists them all."""

    @property
    def shown(self) -> tuple[Change, ...]:
        return self.rows[:MAX_CHANGES_LISTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """See the template for what each is for."""

    verdict_words: str
    item_rate: int | None
    items_matched: int
    items_due: int
    opened: int
    closed: int
    days_complete: int
    days_expected: int
    charts: tuple[tuple[str, Markup], ...]
    """A leg in words, and the chart of its rate."""
    rates: tuple[RateRow, ...]
    buckets: tuple[str, ...]
    classes: tuple[ClassRow, ...]
    bucket_totals: tuple[int, ...]
    changes: tuple[ChangeGroup, ...]
    listed: frozenset[str]
    breaks_total: int
    unlisted: int
    leg_words: dict[str, str]
    marks: dict[str, str]
    class_words: Callable[[str], str]


def view_of(report: Report) -> View:
    """Return the view of `report`."""
    matched, breaks = sum(rate.matched for rate in report.rates), sum(rate.breaks for rate in report.rates)
    classes = _classes(report.totals, report.breaks)
    breaks_total = sum(row.total for row in classes)
    return View(
        verdict_words=VERDICTS.get(report.verdict, report.verdict),
        item_rate=rate_in(BASIS_POINTS, matched=matched, breaks=breaks),
        items_matched=matched,
        items_due=items_due(matched=matched, breaks=breaks),
        opened=sum(each.count for each in report.change_totals if each.kind in {"opened", "reopened"}),
        closed=sum(each.count for each in report.change_totals if each.kind == "closed"),
        days_complete=sum(row.count("complete") for row in report.coverage),
        days_expected=sum(len(row.days) - row.count("not_expected") for row in report.coverage),
        # The chart escapes what it prints; nothing else on the page is trusted as markup.
        charts=tuple((words, Markup(rate_chart(report.history, leg))) for leg, words in LEGS.items()),  # noqa: S704
        rates=tuple(_rate_row(rate, report.previous_rates) for rate in report.rates),
        buckets=tuple(name for name, _ in AGE_BUCKETS),
        classes=classes,
        bucket_totals=tuple(sum(row.counts[index] for row in classes) for index in range(len(AGE_BUCKETS))),
        changes=_changes(report),
        listed=frozenset(row.break_id for row in report.breaks),
        breaks_total=breaks_total,
        unlisted=breaks_total - len(report.breaks),
        leg_words=LEGS,
        marks=MARKS,
        class_words=lambda name: break_class(name).title,
    )


def _rate_row(rate: Rate, previous: Sequence[Rate]) -> RateRow:
    before = next((each for each in previous if _same(each, rate)), None)
    change = None
    if before is not None and before.basis_points is not None and rate.basis_points is not None:
        change = rate.basis_points - before.basis_points
    return RateRow(rate=rate, leg_words=LEGS.get(rate.leg, rate.leg), change=change)


def _same(one: Rate, other: Rate) -> bool:
    return (one.leg, one.provider, one.currency) == (other.leg, other.provider, other.currency)


def _classes(totals: Sequence[ClassTotal], breaks: Sequence[BreakRow]) -> tuple[ClassRow, ...]:
    """Return the classes, the most urgent and then the most numerous first."""
    rows: dict[str, list[BreakRow]] = defaultdict(list)
    for row in breaks:
        rows[row.break_class].append(row)
    grouped: dict[str, list[ClassTotal]] = defaultdict(list)
    for each in totals:
        grouped[each.break_class].append(each)
    sizes = {name: sum(each.count for each in parts) for name, parts in grouped.items()}
    urgency = {name: min(each.priority for each in parts) for name, parts in grouped.items()}
    ordered = sorted(grouped, key=lambda name: (urgency[name], -sizes[name], name))
    most = max(sizes.values(), default=0)
    return tuple(_class_row(name, grouped[name], rows[name], most) for name in ordered)


def _class_row(name: str, totals: Sequence[ClassTotal], rows: Sequence[BreakRow], most: int) -> ClassRow:
    counts = [0] * len(AGE_BUCKETS)
    sums: dict[str, int] = defaultdict(int)
    for each in totals:
        counts[each.bucket] += each.count
        sums[each.amount.currency] += each.amount.amount_minor
    return ClassRow(
        name=name,
        words=break_class(name).title,
        meaning=break_class(name).meaning,
        counts=tuple(counts),
        total=sum(counts),
        sums=tuple(Money(amount_minor=minor, currency=currency) for currency, minor in sorted(sums.items())),
        rows=tuple(rows),
        bar=Markup(bar(counts, most)),  # noqa: S704 - figures alone
    )


def _changes(report: Report) -> tuple[ChangeGroup, ...]:
    totals = {each.kind: each for each in report.change_totals}
    return tuple(
        ChangeGroup(
            words=words,
            rows=tuple(change for change in report.changes if change.kind == kind),
            total=totals[kind].count,
            command=_command(report.book, totals[kind]),
        )
        for kind, words in CHANGES.items()
        if kind in totals
    )


def _command(book: str, total: ChangeTotal) -> str:
    """Return the command that lists all of a kind: of what is open the whole queue, of what closed since when."""
    closed = f" --status closed --closed-from {total.since}" if total.kind == "closed" else ""
    return f"counterfoil breaks list --book {book}{closed}"
