"""What the marts of the last run say: pending items, statement, bridge and coverage."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row

from ledger_core.journal.money import Money
from reconciliation.breaks.break_classes import break_class
from reconciliation.report.model import (
    MAX_PENDING_LISTED,
    Bridge,
    BridgeStep,
    Coverage,
    CoverageDay,
    PendingRow,
    StatementRow,
)
from reconciliation.report.rows import DEFAULT_ACCOUNT, every, source_name

BALANCES = {
    "A": ("Ledger, clearing accounts", "Provider, its items"),
    "B": ("Provider, its payouts", "Bank, credits of the provider"),
}


def read_pending(connection: Connection) -> tuple[PendingRow, ...]:
    """Return what waits inside its grace, the first to run out first."""
    rows = every(
        connection,
        "select *, class as \"break_class\" from analytics.fct_differences where status = 'pending'"
        " order by grace_until, leg, key, difference_id limit :most",
        most=MAX_PENDING_LISTED,
    )
    return tuple(
        PendingRow(
            leg=row.leg,
            provider=source_name(row.provider, row.account),
            key=row.key,
            break_class=row.break_class,
            amount=Money(amount_minor=int(row.amount_minor), currency=row.currency),
            base_on=row.base_on,
            grace_until=row.grace_until,
        )
        for row in rows
    )


def read_statement(connection: Connection, run: Row[Any], since: date | None) -> tuple[StatementRow, ...]:
    """Return what opened and closed after the day of the run before; the mart has a row a day."""
    rows = every(
        connection,
        "select leg, provider, account, currency,"
        " sum(opened_count)::bigint as opened_count, sum(closed_count)::bigint as closed_count,"
        " sum(opened_minor)::text as opened_minor, sum(closed_minor)::text as closed_minor,"
        " (array_agg(opening_count order by stated_on))[1] as opening_count,"
        " (array_agg(closing_count order by stated_on desc))[1] as closing_count,"
        " (array_agg(opening_minor order by stated_on))[1]::text as opening_minor,"
        " (array_agg(closing_minor order by stated_on desc))[1]::text as closing_minor"
        " from analytics.fct_reconciliation_statement"
        " where stated_on <= :as_of and stated_on > coalesce(cast(:since as date), '-infinity')"
        " group by leg, provider, account, currency order by leg, provider, account, currency",
        as_of=run.as_of, since=since,
    )  # fmt: skip
    return tuple(
        StatementRow(
            leg=row.leg,
            provider=source_name(row.provider, row.account),
            currency=row.currency,
            opening_count=row.opening_count,
            opened_count=row.opened_count,
            closed_count=row.closed_count,
            closing_count=row.closing_count,
            opening=Money(amount_minor=int(row.opening_minor), currency=row.currency),
            opened=Money(amount_minor=int(row.opened_minor), currency=row.currency),
            closed=Money(amount_minor=int(row.closed_minor), currency=row.currency),
            closing=Money(amount_minor=int(row.closing_minor), currency=row.currency),
        )
        for row in rows
    )


def read_bridges(connection: Connection) -> tuple[Bridge, ...]:
    """Return the bridge of every leg, provider and currency."""
    rows = every(
        connection,
        "select leg, provider, account, currency, step, items, amount_minor::text as amount_minor"
        " from analytics.fct_reconciliation_bridge order by leg, provider, account, currency, step",
    )
    grouped: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in rows:
        key = row.leg, source_name(row.provider, row.account), row.currency
        grouped[key][row.step] = int(row.items), int(row.amount_minor)
    return tuple(_bridge(key, steps) for key, steps in grouped.items())


def _bridge(key: tuple[str, str, str], steps: dict[str, tuple[int, int]]) -> Bridge:
    leg, provider, currency = key
    own = {"left_balance", "right_balance", "residual"}
    return Bridge(
        leg=leg,
        provider=provider,
        currency=currency,
        start_label=BALANCES[leg][0],
        start=Money(amount_minor=steps.get("left_balance", (0, 0))[1], currency=currency),
        # The mart states what the left side has more; from left to right it is taken away.
        steps=tuple(
            BridgeStep(label=_step_words(name), count=items, amount=Money(amount_minor=-minor, currency=currency))
            for name, (items, minor) in steps.items()
            if name not in own
        ),
        end_label=BALANCES[leg][1],
        end=Money(amount_minor=steps.get("right_balance", (0, 0))[1], currency=currency),
    )


def _step_words(step: str) -> str:
    name, _, status = step.partition(":")
    title = break_class(name).title
    return f"{title}, pending" if status == "pending" else title


def read_coverage(connection: Connection) -> tuple[Coverage, ...]:
    """Return each source's days."""
    rows = every(
        connection,
        "select * from analytics.fct_source_coverage order by source, account, record_type, covered_on",
    )
    grouped: dict[str, list[CoverageDay]] = defaultdict(list)
    for row in rows:
        label = " · ".join(part for part in (row.source, row.record_type, row.account) if part != DEFAULT_ACCOUNT)
        grouped[label].append(CoverageDay(on=row.covered_on, state=_day_state(row), detail=_day_detail(row)))
    return tuple(Coverage(source=label, days=tuple(days)) for label, days in grouped.items())


def _day_state(row: Row[Any]) -> str:
    if row.is_complete:
        return "complete"
    if row.is_present:
        return "partial"
    return "missing" if row.is_expected else "not_expected"


def _day_detail(row: Row[Any]) -> str:
    if row.failed_control_totals:
        return f"{row.failed_control_totals} control totals fail"
    return f"{row.files} files" if row.files else "nothing expected" if not row.is_expected else "no file"
