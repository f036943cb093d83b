"""Merge the differences of a run into `recon.breaks`: what was open and is found again persists, what is not closes.

One transaction, the caller's. dbt says what differs today; a break is what lives from the first day it differed to the
day it no longer did, whatever it was called in between. Dates are business dates: nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, RowMapping, text

from reconciliation.breaks.identity import BreakKey, Found, assign

BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCounts:
    """How many breaks a run opened, re-opened, found again under another class or amount, and closed."""

    opened: int
    reopened: int
    reclassified: int
    changed: int
    closed: int

    def as_manifest(self) -> dict[str, int]:
        return {
            "changed": self.changed,
            "closed": self.closed,
            "opened": self.opened,
            "reclassified": self.reclassified,
            "reopened": self.reopened,
        }


def merge_differences(
    connection: Connection, *, book: str, run_id: str, run_ordinal: int, as_of: date, schema: str
) -> MergeCounts:
    """Bring `recon.breaks` of `book` to what the run in `schema` found past its grace; return what that changed."""
    assert schema.isidentifier(), schema
    found = _read_found(connection, schema)
    assignments = assign(
        found,
        _known_keys(connection, book, found),
        book=book,
        exists=lambda ids: _existing(connection, book, ids),
    )
    _stage(connection, assignments)
    parameters = {"book": book, "run_id": run_id, "as_of": as_of}
    events = connection.execute(text(_EVENTS.format(schema=schema)), parameters).all()
    closed = connection.execute(text(_CLOSING_EVENTS), parameters).all()
    connection.execute(text(_UPSERT.format(schema=schema)), parameters)
    connection.execute(text(_CLOSE.format(schema=schema)), parameters)
    _insert_events(connection, [row._mapping for row in (*events, *closed)], run_ordinal)
    _insert_keys(connection, book, found, assignments)
    connection.execute(text("drop table pg_temp.assigned"))
    happened = [row.event for row in events]
    return MergeCounts(
        opened=happened.count("opened"),
        reopened=happened.count("reopened"),
        reclassified=happened.count("reclassified"),
        changed=happened.count("changed"),
        closed=len(closed),
    )


def _read_found(connection: Connection, schema: str) -> list[Found]:
    rows = connection.execute(text(_FOUND.format(schema=schema))).mappings()
    return [_found(row) for row in rows]


def _found(row: RowMapping) -> Found:
    return Found(
        difference_id=row["difference_id"],
        leg=row["leg"],
        provider=row["provider"],
        account=row["account"],
        sign=row["sign"],
        key=row["key"],
        currency=row["currency"],
        keys=tuple(
            BreakKey(
                leg=row["leg"],
                provider=row["provider"],
                account=row["account"],
                kind=kind,
                key=key,
                sign=row["sign"],
                currency=currency,
            )
            for kind, key, currency in row["identity_keys"]
        ),
    )


def _known_keys(connection: Connection, book: str, found: Sequence[Found]) -> dict[BreakKey, str]:
    ids = sorted({key.key for difference in found for key in difference.keys})
    known: dict[BreakKey, str] = {}
    for start in range(0, len(ids), BATCH_ROWS):
        rows = connection.execute(
            text(
                "select leg, provider, account, kind, key, sign, currency, break_id from recon.break_keys"
                " where book = :book and key = any(:keys)"
            ),
            {"book": book, "keys": ids[start : start + BATCH_ROWS]},
        )
        for row in rows:
            known[
                BreakKey(
                    leg=row.leg,
                    provider=row.provider,
                    account=row.account,
                    kind=row.kind,
                    key=row.key,
                    sign=row.sign,
                    currency=row.currency,
                )
            ] = row.break_id
    return known


def _existing(connection: Connection, book: str, break_ids: Sequence[str]) -> set[str]:
    rows = connection.execute(
        text("select break_id from recon.breaks where book = :book and break_id = any(:ids)"),
        {"book": book, "ids": list(break_ids)},
    )
    return {row.break_id for row in rows}


def _stage(connection: Connection, assignments: Mapping[str, str]) -> None:
    connection.execute(
        text("create temporary table assigned (difference_id text primary key, break_id text not null unique)")
    )
    rows = [{"difference_id": difference, "break_id": found} for difference, found in sorted(assignments.items())]
    for start in range(0, len(rows), BATCH_ROWS):
        connection.execute(
            text("insert into pg_temp.assigned values (:difference_id, :break_id)"), rows[start : start + BATCH_ROWS]
        )
    connection.execute(text("analyze pg_temp.assigned"))


def _insert_events(connection: Connection, events: Sequence[RowMapping], run_ordinal: int) -> None:
    for start in range(0, len(events), BATCH_ROWS):
        connection.execute(
            text(
                "insert into recon.break_events"
                " (book, break_id, run_id, run_ordinal, event, happened_on, class, amount_minor, was_class,"
                " was_amount_minor)"
                " values (:book, :break_id, :run_id, :run_ordinal, :event, :happened_on, :class, :amount_minor,"
                " :was_class, :was_amount_minor)"
            ),
            [{**event, "run_ordinal": run_ordinal} for event in events[start : start + BATCH_ROWS]],
        )


def _insert_keys(connection: Connection, book: str, found: Sequence[Found], assignments: Mapping[str, str]) -> None:
    rows = [
        {
            "book": book,
            "leg": key.leg,
            "provider": key.provider,
            "account": key.account,
            "kind": key.kind,
            "key": key.key,
            "sign": key.sign,
            "currency": key.currency,
            "break_id": assignments[difference.difference_id],
        }
        for difference in found
        for key in difference.keys
    ]
    # An id that another break lists already stays with it: the older one was there first.
    for start in range(0, len(rows), BATCH_ROWS):
        connection.execute(
            text(
                "insert into recon.break_keys (book, leg, provider, account, kind, key, sign, currency, break_id)"
                " values (:book, :leg, :provider, :account, :kind, :key, :sign, :currency, :break_id)"
                " on conflict do nothing"
            ),
            rows[start : start + BATCH_ROWS],
        )


_FOUND = """
select difference_id, leg, provider, account, sign, key, currency, identity_keys
from {schema}.fct_differences
where status = 'break'
order by difference_id
"""

_EVENTS = """
select
    :book as book,
    assigned.break_id,
    :run_id as run_id,
    case
        when standing.break_id is null then 'opened'
        when standing.status = 'closed' then 'reopened'
        when standing.class <> difference.class then 'reclassified'
        else 'changed'
    end as event,
    case when standing.break_id is null then difference.opened_on else cast(:as_of as date) end as happened_on,
    difference.class,
    difference.amount_minor,
    standing.class as was_class,
    standing.amount_minor as was_amount_minor
from pg_temp.assigned
inner join {schema}.fct_differences as difference using (difference_id)
left join recon.breaks as standing
    on standing.book = :book and standing.break_id = assigned.break_id
where standing.break_id is null
    or standing.status = 'closed'
    or standing.class <> difference.class
    or standing.amount_minor <> difference.amount_minor
order by assigned.break_id
"""

_CLOSING_EVENTS = """
select
    standing.book,
    standing.break_id,
    :run_id as run_id,
    'closed' as event,
    cast(:as_of as date) as happened_on,
    standing.class,
    standing.amount_minor,
    standing.class as was_class,
    standing.amount_minor as was_amount_minor
from recon.breaks as standing
where standing.book = :book
    and standing.status = 'open'
    and not exists (select 1 from pg_temp.assigned where assigned.break_id = standing.break_id)
order by standing.break_id
"""

# A break keeps the day on which it opened, and with it its age, through every change of its diagnosis.
_UPSERT = """
insert into recon.breaks (
    book, break_id, leg, provider, account, sign, class, key, keys, currency, ledger_currency, amount_minor,
    ledger_amount_minor, psp_amount_minor, bank_amount_minor, priority, status, opened_on, grace_until, rule,
    rule_version, evidence, first_run_id, run_id, as_of
)
select
    :book,
    assigned.break_id,
    difference.leg,
    difference.provider,
    difference.account,
    difference.sign,
    difference.class,
    difference.key,
    difference.keys,
    difference.currency,
    difference.other_currency,
    difference.amount_minor,
    difference.ledger_amount_minor,
    difference.psp_amount_minor,
    difference.bank_amount_minor,
    difference.priority,
    'open',
    difference.opened_on,
    difference.grace_until,
    difference.rule,
    difference.rule_version,
    difference.evidence,
    :run_id,
    :run_id,
    :as_of
from pg_temp.assigned
inner join {schema}.fct_differences as difference using (difference_id)
on conflict (book, break_id) do update set
    class = excluded.class,
    key = excluded.key,
    keys = excluded.keys,
    ledger_currency = excluded.ledger_currency,
    currency = excluded.currency,
    amount_minor = excluded.amount_minor,
    ledger_amount_minor = excluded.ledger_amount_minor,
    psp_amount_minor = excluded.psp_amount_minor,
    bank_amount_minor = excluded.bank_amount_minor,
    priority = excluded.priority,
    status = 'open',
    closed_on = null,
    resolution = null,
    grace_until = excluded.grace_until,
    rule = excluded.rule,
    rule_version = excluded.rule_version,
    evidence = excluded.evidence,
    run_id = excluded.run_id,
    as_of = excluded.as_of
"""

_CLOSE = """
update recon.breaks as standing
set status = 'closed',
    closed_on = greatest(cast(:as_of as date), standing.opened_on),
    resolution = coalesce(
        (select classes.closes_as from {schema}.break_classes as classes where classes.class = standing.class),
        'no_longer_found'
    )
where standing.book = :book
    and standing.status = 'open'
    and not exists (select 1 from pg_temp.assigned where assigned.break_id = standing.break_id)
"""
