"""Merge the differences of a run into `recon.breaks`: what was open and is found again persists, what is not closes.

One transaction, the caller's. dbt says what differs today; a break is what lives from the first day it differed to the
day it no longer did, whatever it was called in between. Dates are business dates: nothing here reads a clock. All of it
is done where the rows are: what a run costs here does not grow with what it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from reconciliation.breaks.identity import assign, release


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
    assign(connection, book=book, schema=schema)
    parameters = {"book": book, "run_id": run_id, "as_of": as_of}
    connection.execute(text(f"create temporary table happened as {_EVENTS.format(schema=schema)}"), parameters)
    connection.execute(text(f"insert into pg_temp.happened {_CLOSING_EVENTS}"), parameters)
    connection.execute(text(_UPSERT.format(schema=schema)), parameters)
    connection.execute(text(_CLOSE.format(schema=schema)), parameters)
    connection.execute(text(_STORE_EVENTS), {"run_ordinal": run_ordinal})
    connection.execute(text(_STORE_KEYS), {"book": book})
    happened = {row.event: row.events for row in connection.execute(text(_COUNT_EVENTS))}
    connection.execute(text("drop table pg_temp.happened"))
    release(connection)
    return MergeCounts(
        opened=happened.get("opened", 0),
        reopened=happened.get("reopened", 0),
        reclassified=happened.get("reclassified", 0),
        changed=happened.get("changed", 0),
        closed=happened.get("closed", 0),
    )


_EVENTS = """
select
    cast(:book as text) as book,
    assigned.break_id,
    cast(:run_id as text) as run_id,
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
    cast(:run_id as text) as run_id,
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

_STORE_EVENTS = """
insert into recon.break_events
    (book, break_id, run_id, run_ordinal, event, happened_on, class, amount_minor, was_class, was_amount_minor)
select
    happened.book, happened.break_id, happened.run_id, :run_ordinal, happened.event, happened.happened_on,
    happened.class, happened.amount_minor, happened.was_class, happened.was_amount_minor
from pg_temp.happened
"""

_COUNT_EVENTS = "select event, count(*) as events from pg_temp.happened group by event"

# An id that another break lists already stays with it: the older one was there first.
_STORE_KEYS = """
insert into recon.break_keys (book, leg, provider, account, kind, key, sign, currency, break_id)
select
    :book, keys.leg, keys.provider, keys.account, keys.kind, keys.key, keys.sign, keys.currency, assigned.break_id
from pg_temp.difference_keys as keys
inner join pg_temp.assigned
    on keys.difference_id = assigned.difference_id
order by keys.difference_id collate "C", keys.place
on conflict do nothing
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
