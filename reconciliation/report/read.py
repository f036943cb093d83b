"""Reading a run into the report: from `recon`, where runs and breaks have their history, and from the last run's marts.

The marts hold one run; for an earlier one the page says what it cannot show. Every amount stays text or integer.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row

from ledger_core.errors import NotFound
from ledger_core.journal.money import Money
from ledger_core.reading.heads import legal_entity
from reconciliation.breaks.break_classes import break_class
from reconciliation.report.amounts import format_day
from reconciliation.report.marts import read_bridges, read_coverage, read_pending, read_statement
from reconciliation.report.model import (
    MAX_BREAKS_LISTED,
    MAX_CHANGES_LISTED,
    MAX_FILES_LISTED,
    BreakRow,
    Change,
    ChangeTotal,
    ClassTotal,
    InputFile,
    Rate,
    Report,
    RunPoint,
    bucket_of,
)
from reconciliation.report.paths import paths_of
from reconciliation.report.rows import every, money_of, one, source_name

RUNS_IN_CHART = 30


def read_report(connection: Connection, run_id: str) -> Report:
    """Return the report of `run_id`. Raises `NotFound` for a run that there is not."""
    run = one(connection, "select * from recon.runs where run_id = :run_id", run_id=run_id)
    if run is None:
        raise NotFound(f"there is no reconciliation run {run_id[:12]}.", remedy="`counterfoil reconcile` makes one.")
    previous = one(
        connection,
        "select run_id, as_of, ordinal from recon.runs"
        " where book = :book and merged and ordinal < :ordinal and as_of < :as_of order by ordinal desc limit 1",
        book=run.book, ordinal=run.ordinal, as_of=run.as_of,
    )  # fmt: skip
    has_marts = _pinned_run(connection) == run_id
    since = previous.ordinal if previous else 0
    return Report(
        run_id=run.run_id,
        book=run.book,
        legal_entity=legal_entity(connection, run.book),
        as_of=run.as_of,
        recorded_at=run.created_at,
        verdict=run.verdict,
        signed_size=run.signed_size,
        record_seq=run.record_seq,
        code_version=run.code_version,
        previous_as_of=previous.as_of if previous else None,
        rates=_rates(connection, run.run_id),
        previous_rates=_rates(connection, previous.run_id) if previous else (),
        history=_history(connection, run),
        breaks=_breaks(connection, run, since, has_marts),
        totals=_totals(connection, run),
        pending=read_pending(connection) if has_marts else (),
        pending_total=sum(rate.pending for rate in _rates(connection, run.run_id)),
        not_ours=int(run.counts.get("bank_lines_not_ours", 0)),
        statement=read_statement(connection, run, previous.as_of if previous else None) if has_marts else (),
        bridges=read_bridges(connection) if has_marts else (),
        coverage=read_coverage(connection) if has_marts else (),
        changes=_changes(connection, run, since),
        change_totals=_change_totals(connection, run, since),
        files=_files(connection, run),
        files_total=_files_total(connection, run),
        has_marts=has_marts,
        reasons=tuple(_reason(reason) for reason in run.reasons),
    )


def _pinned_run(connection: Connection) -> str | None:
    row = one(connection, "select run_id from recon.pins where target_schema = 'analytics' and built_at is not null")
    return row.run_id if row else None


def _rates(connection: Connection, run_id: str) -> tuple[Rate, ...]:
    rows = every(
        connection,
        "select * from recon.run_rates where run_id = :run_id order by leg, provider, account, currency",
        run_id=run_id,
    )
    return tuple(_rate(row) for row in rows)


def _rate(row: Row[Any]) -> Rate:
    return Rate(
        provider=source_name(row.provider, row.account),
        leg=row.leg,
        currency=row.currency,
        matched=row.matched,
        breaks=row.breaks,
        pending=row.pending,
    )


def _history(connection: Connection, run: Row[Any]) -> tuple[RunPoint, ...]:
    """Return the last runs, one for each day: the latest of a day that was closed more than once."""
    rows = every(
        connection,
        "with latest as ("
        "  select distinct on (as_of) run_id, as_of from recon.runs"
        "  where book = :book and ordinal <= :ordinal order by as_of, ordinal desc"
        "), last_runs as (select * from latest where as_of <= :as_of order by as_of desc limit :runs)"
        " select last_runs.as_of, rates.* from last_runs inner join recon.run_rates as rates using (run_id)"
        " order by last_runs.as_of, rates.leg, rates.provider, rates.account, rates.currency",
        book=run.book, ordinal=run.ordinal, as_of=run.as_of, runs=RUNS_IN_CHART,
    )  # fmt: skip
    grouped: dict[tuple[date, str], list[Rate]] = defaultdict(list)
    for row in rows:
        grouped[row.as_of, row.run_id].append(_rate(row))
    return tuple(RunPoint(run_id=run_id, as_of=on, rates=tuple(rates)) for (on, run_id), rates in grouped.items())


def _totals(connection: Connection, run: Row[Any]) -> tuple[ClassTotal, ...]:
    rows = every(
        connection,
        "select class, currency, min(priority) as priority, greatest(cast(:as_of as date) - opened_on, 0) as age_days,"
        " count(*) as breaks, sum(amount_minor)::text as amount_minor"
        " from recon.breaks where book = :book and status = 'open' and opened_on <= :as_of"
        " group by class, currency, age_days order by class, currency, age_days",
        book=run.book, as_of=run.as_of,
    )  # fmt: skip
    return tuple(
        ClassTotal(
            break_class=row[0],
            priority=row.priority,
            bucket=bucket_of(row.age_days),
            count=row.breaks,
            amount=Money(amount_minor=int(row.amount_minor), currency=row.currency),
        )
        for row in rows
    )


def _breaks(connection: Connection, run: Row[Any], since: int, has_marts: bool) -> tuple[BreakRow, ...]:
    rows = every(
        connection,
        'select *, class as "break_class", greatest(cast(:as_of as date) - opened_on, 0) as age_days,'
        " exists (select 1 from recon.break_events as events"
        "  where events.book = :book and events.break_id = breaks.break_id and events.event in ('opened', 'reopened')"
        "  and events.run_ordinal > :since and events.run_ordinal <= :ordinal) as is_new"
        " from recon.breaks where book = :book and status = 'open' and opened_on <= :as_of"
        " order by priority, opened_on, leg, class, key, break_id limit :most",
        book=run.book, as_of=run.as_of, since=since, ordinal=run.ordinal, most=MAX_BREAKS_LISTED,
    )  # fmt: skip
    paths = paths_of(connection, rows) if has_marts else {}
    return tuple(
        BreakRow(
            break_id=row.break_id,
            break_class=row.break_class,
            leg=row.leg,
            key=row.key,
            keys=tuple(row.keys),
            amount=Money(amount_minor=int(row.amount_minor), currency=row.currency),
            ledger=money_of(row.ledger_amount_minor, row.ledger_currency or row.currency),
            psp=money_of(row.psp_amount_minor, row.currency),
            bank=money_of(row.bank_amount_minor, row.currency),
            priority=row.priority,
            status=row.status,
            opened_on=row.opened_on,
            age_days=row.age_days,
            assignee=row.assignee,
            is_new=row.is_new,
            path=paths.get(row.break_id, ()),
        )
        for row in rows
    )


def _changes(connection: Connection, run: Row[Any], since: int) -> tuple[Change, ...]:
    rows = every(
        connection,
        "with numbered as ("
        '  select events.*, events.class as "event_class", breaks.leg, breaks.key, breaks.currency, breaks.resolution,'
        "  row_number() over (partition by events.event"
        "   order by breaks.leg, breaks.key, events.break_id, events.run_ordinal) as number"
        "  from recon.break_events as events inner join recon.breaks as breaks using (book, break_id)"
        "  where events.book = :book and events.run_ordinal > :since and events.run_ordinal <= :ordinal"
        ") select * from numbered where number <= :most order by event, number",
        book=run.book, since=since, ordinal=run.ordinal, most=MAX_CHANGES_LISTED,
    )  # fmt: skip
    return tuple(
        Change(
            kind=row.event,
            break_id=row.break_id,
            leg=row.leg,
            key=row.key,
            amount=Money(amount_minor=int(row.amount_minor), currency=row.currency),
            detail=_change_detail(row),
        )
        for row in rows
    )


def _change_totals(connection: Connection, run: Row[Any], since: int) -> tuple[ChangeTotal, ...]:
    rows = every(
        connection,
        "select event, count(*) as events, min(happened_on) as since from recon.break_events"
        " where book = :book and run_ordinal > :since and run_ordinal <= :ordinal group by event order by event",
        book=run.book, since=since, ordinal=run.ordinal,
    )  # fmt: skip
    return tuple(ChangeTotal(kind=row.event, count=row.events, since=row.since) for row in rows)


def _change_detail(row: Row[Any]) -> str:
    words = break_class(row.event_class).title
    if row.was_class and row.was_class != row.event_class:
        return f"{break_class(row.was_class).title} → {words}"
    if row.event == "closed" and row.resolution:
        return f"{words}, {row.resolution.replace('_', ' ')} on {format_day(row.happened_on)}"
    return words


def _files(connection: Connection, run: Row[Any]) -> tuple[InputFile, ...]:
    rows = every(
        connection,
        "select files.* from recon.run_files inner join raw.current_files as files using (file_id)"
        " where run_files.run_id = :run_id"
        " order by coalesce(files.last_on, files.interval_to) desc nulls last, files.source, files.name, files.sha256"
        " limit :most",
        run_id=run.run_id, most=MAX_FILES_LISTED,
    )  # fmt: skip
    return tuple(
        InputFile(
            source=row.source,
            name=row.name,
            sha256=row.sha256,
            rows_read=row.rows_read,
            rows_accepted=row.rows_accepted,
            rows_quarantined=row.rows_quarantined,
        )
        for row in rows
    )


def _files_total(connection: Connection, run: Row[Any]) -> int:
    row = one(connection, "select count(*) as files from recon.run_files where run_id = :run_id", run_id=run.run_id)
    assert row is not None
    return int(row.files)


def _reason(reason: dict[str, Any]) -> str:
    place = " ".join(str(reason[name]) for name in ("source", "account") if reason.get(name))
    kind = str(reason.get("kind", "")).replace("_", " ")
    return f"Incomplete: {kind} in {place}: {reason.get('subject', '')}, {reason.get('detail', '')}"
