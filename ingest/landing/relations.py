"""How a landed report stands to those before it: which days of which one are replaced, and in what sign payouts are.

Every statement is symmetric: whichever of two files lands second writes the same rows about the pair, so that what
counts is a function of the files and never of the order in which they came. What they rest on is in the contract;
names decide nothing.
"""

from __future__ import annotations

from uuid import UUID

import psycopg

from ingest.contract.vocabulary import Column, Contract, RecordType

MAX_SAMPLED_PAYOUTS = 20
"""Of a file: so many of its payouts tell its sign as well as all would."""
PAYOUT_REACH_DAYS = 45
"""Between the days of a report of payouts and of one of items: a payout settles what is older by a month at most."""


def note_relations(cursor: psycopg.Cursor, contract: Contract, record_type: RecordType, *, file_id: UUID) -> list[UUID]:
    """Write what the file `file_id` and those that landed are to each other; return the files it replaces in part or
    whole."""
    cursor.execute(_SET_BASED)
    if record_type.id_columns:
        pairs = _overlapping(cursor, file_id)
        repeated = _repeated(cursor, record_type, file_id, {other_id for other_id, _ in pairs})
        for other_id, is_newer in pairs:
            if other_id in repeated:
                older, newer = (other_id, file_id) if is_newer else (file_id, other_id)
                cursor.execute(_replacement(record_type), {"older": older, "newer": newer})
    _note_payout_signs(cursor, contract, record_type, file_id=file_id)
    cursor.execute("select older_id from raw.file_replacements where newer_id = %s order by older_id", (file_id,))
    return [row[0] for row in cursor.fetchall()]


def replace_whole(cursor: psycopg.Cursor, *, older_id: UUID, newer_id: UUID) -> None:
    """Note that `newer_id`, the same bytes read anew, counts for every day of `older_id`."""
    cursor.execute(
        "insert into raw.file_replacements (older_id, newer_id, first_on, last_on) select older.file_id, %s,"
        " least(older.covers_from, newer.covers_from), greatest(older.covers_to, newer.covers_to)"
        " from raw.current_files as older cross join raw.current_files as newer"
        " where older.file_id = %s and newer.file_id = %s and newer.covers_from is not null on conflict do nothing",
        (newer_id, older_id, newer_id),
    )


_SET_BASED = "set local enable_nestloop = off; set local enable_seqscan = off"
"""Until the landing's transaction ends. Of rows that came a moment ago the planner knows nothing, takes them for few,
and loops over two reports of 200,000 rows for as long as one cares to wait."""


def payouts_signs(cursor: psycopg.Cursor, record_type: RecordType, *, file_id: UUID) -> tuple[int | None, int | None]:
    """Return what the file's own payouts say of their sign: by a fee, and by most of their money."""
    rows = record_type.payout_rows
    if rows is None:
        return None, None
    cursor.execute(
        f"""
        with payouts as (
            select upper(currency) as currency, {rows.fee}::numeric as fee,
                {rows.gross}::numeric * case when {rows.type} = %s then 1 else -1 end as gross,
                {rows.net}::numeric * case when {rows.type} = %s then 1 else -1 end as net
            from {record_type.table} where file_id = %s and {rows.type} in (%s, %s)
        ),
        sums as (select currency, sum(net) as net from payouts group by currency)
        select
            (select nullif(sign(sum(sign(gross))), 0)::integer from payouts where fee <> 0),
            coalesce(
                (select nullif(sign(sum(sign(net))), 0)::integer from sums),
                (select nullif(sign(sum(sign(net))), 0)::integer from payouts)
            )
        """,  # noqa: S608 - names come from a contract
        (rows.value, rows.value, file_id, rows.value, rows.reversal),
    )
    found = cursor.fetchone()
    assert found is not None
    return found[0], found[1]


def _overlapping(cursor: psycopg.Cursor, file_id: UUID) -> list[tuple[UUID, bool]]:
    """Return the landed reports of the same account and kind that cover a day of this one; for equally new ones both
    ways are asked."""
    cursor.execute(
        """
        select other.file_id, own.document_at >= other.document_at, own.document_at <= other.document_at
        from raw.current_files as own
        inner join raw.current_files as other
            on other.book = own.book and other.source = own.source and other.account = own.account
            and other.record_type = own.record_type and other.file_id <> own.file_id
            and other.covers_from <= own.covers_to and other.covers_to >= own.covers_from
        where own.file_id = %s and own.document_at is not null and other.document_at is not null
        order by other.file_id
        """,
        (file_id,),
    )
    pairs: list[tuple[UUID, bool]] = []
    for other, is_newer, is_older in cursor.fetchall():
        pairs += [(other, True)] if is_newer else []
        pairs += [(other, False)] if is_older else []
    return pairs


def _repeated(cursor: psycopg.Cursor, record_type: RecordType, file_id: UUID, others: set[UUID]) -> set[UUID]:
    """Return which of `others` share an id with the file: no other can be a version of it, nor it of another."""
    if not others:
        return set()
    cursor.execute(
        f"""
        select distinct o.file_id from {record_type.table} as o
        inner join {record_type.table} as n using ({", ".join(record_type.id_columns)})
        where n.file_id = %s and o.file_id = any(%s)
        """,  # noqa: S608 - names come from a contract
        (file_id, list(others)),
    )
    return {row[0] for row in cursor.fetchall()}


def _replacement(record_type: RecordType) -> str:
    """Return the statement that notes the days of `older` that `newer` replaces, if it is a version of it.

    It is one when it repeats an id of those days, holds every kind of row that the older one has on them, and forgets
    no payout that the older one names. Of two equally new ones, that which holds the other whole and less of which is
    put aside, or more of which is there.
    """
    key = ", ".join(record_type.id_columns)
    payout = record_type.settled_rows.payout_id if record_type.settled_rows else None
    same_slice = " and ".join(
        f"(coalesce(n.{name}, '') = coalesce(o.{name}, '')"
        + (f" or coalesce(o.{name}, '') = '')" if name == payout else ")")
        for name in record_type.sliced_by
    )
    forgets = f"and coalesce(o.{payout}, '') <> '' and coalesce(n.{payout}, '') = ''" if payout else "and false"
    kinds = ", ".join(record_type.sliced_by)
    wanted = [*record_type.id_columns, "row_sha256", *record_type.sliced_by, *([payout] if payout else [])]
    columns = ", ".join(f"r.{name}" for name in dict.fromkeys(wanted))
    return f"""
        with files as (
            select older.file_id as older_id, newer.file_id as newer_id,
                older.document_at < newer.document_at as is_older,
                older.rows_accepted as older_rows, newer.rows_accepted as newer_rows,
                older.rows_quarantined as older_aside, newer.rows_quarantined as newer_aside,
                greatest(older.covers_from, newer.covers_from) as first_on,
                least(older.covers_to, newer.covers_to) as last_on
            from raw.current_files as older cross join raw.current_files as newer
            where older.file_id = %(older)s and newer.file_id = %(newer)s
        ),
        o as (
            select {columns} from {record_type.table} as r
            inner join raw.files as f on f.file_id = r.file_id
            cross join files
            where r.file_id = %(older)s and {_day(record_type)} between files.first_on and files.last_on
        ),
        n as (select {columns} from {record_type.table} as r where r.file_id = %(newer)s),
        kinds as (select distinct {kinds} from n),
        older_kinds as (select distinct {kinds} from o)
        insert into raw.file_replacements (older_id, newer_id, first_on, last_on)
        select files.older_id, files.newer_id, files.first_on, files.last_on
        from files
        where exists (select from o inner join n using ({key}))
            and not exists (select from older_kinds as o where not exists (select from kinds as n where {same_slice}))
            and not exists (select from o inner join n using ({key}) where true {forgets})
            and (
                files.is_older
                or (
                    (files.newer_aside < files.older_aside
                        or (files.newer_aside = files.older_aside and files.newer_rows > files.older_rows))
                    and not exists (select row_sha256 from o except select row_sha256 from n)
                )
            )
        on conflict do nothing
    """  # noqa: S608 - names come from a contract


def _day(record_type: RecordType) -> str:
    """Return the SQL of the day, in UTC, on which a row `r` of the file `f` stands for the provider."""
    candidates = [*record_type.selected_by, record_type.dated_by]
    candidates += [record_type.stand_ins[name] for name in (record_type.dated_by,) if name in record_type.stand_ins]
    moments = [_moment(record_type.by_name[name]) for name in candidates]
    return f"(coalesce({', '.join(moments)}) at time zone 'UTC')::date"


def _moment(column: Column) -> str:
    """Return the SQL of the instant in `column` of a row `r` of the file `f`."""
    written = f"nullif(r.{column.name}, '')::timestamp"
    if column.zoned_by:
        label = ", ".join(f"nullif(r.{name}, '')" for name in column.zoned_by)
        return f"raw.zoned_instant({written}, coalesce({label}), f.time_zone)"
    return f"{written} at time zone " + ("coalesce(f.time_zone, 'UTC')" if column.stands_for else "'UTC'")


def _note_payout_signs(cursor: psycopg.Cursor, contract: Contract, record_type: RecordType, *, file_id: UUID) -> None:
    """Hold a file's payouts against the sums of their items in every other file of the account, and the other way."""
    for payouts in contract.record_types:
        for items in contract.record_types:
            if payouts.payout_rows is None or items.settled_rows is None or record_type not in (payouts, items):
                continue
            cursor.execute(
                _signs(payouts, items),
                {
                    "file_id": file_id,
                    "payouts": payouts.name,
                    "items": items.name,
                    "payout": payouts.payout_rows.value,
                    "most": MAX_SAMPLED_PAYOUTS,
                },
            )


def _signs(payouts: RecordType, items: RecordType) -> str:
    said, settled = payouts.payout_rows, items.settled_rows
    assert said is not None
    assert settled is not None
    return f"""
        with pairs as (
            select p.file_id, i.file_id as items_file_id
            from raw.current_files as own
            inner join raw.current_files as p
                on p.book = own.book and p.source = own.source and p.account = own.account
            inner join raw.current_files as i
                on i.book = own.book and i.source = own.source and i.account = own.account
            where own.file_id = %(file_id)s and own.file_id in (p.file_id, i.file_id)
                and p.record_type = %(payouts)s and i.record_type = %(items)s
                and i.covers_from <= p.covers_to + {PAYOUT_REACH_DAYS}
                and i.covers_to >= p.covers_from - {PAYOUT_REACH_DAYS}
        ),
        ranked as (
            select r.file_id, r.{said.payout_id} as payout_id, upper(r.currency) as currency,
                r.{said.net}::numeric as net,
                row_number() over (partition by r.file_id order by r.{said.payout_id}, r.ordinal) as place
            from {payouts.table} as r
            where r.file_id in (select file_id from pairs) and r.{said.type} = %(payout)s and r.{said.net}::numeric <> 0
        ),
        stated as (select * from ranked where place <= %(most)s),
        sums as (
            select r.file_id, r.{settled.payout_id} as payout_id, upper(r.currency) as currency,
                sum(r.{settled.net}::numeric) as net
            from {items.table} as r
            where r.file_id in (select items_file_id from pairs) and r.{settled.type} <> %(payout)s
                and r.{settled.payout_id} in (select payout_id from stated)
            group by 1, 2, 3
        ),
        final as (
            select pairs.file_id, pairs.items_file_id,
                count(*) filter (where sums.net = stated.net) as exact_same,
                count(*) filter (where sums.net = -stated.net) as exact_opposite,
                count(*) filter (where sign(sums.net) = sign(stated.net)) as near_same,
                count(*) filter (where sign(sums.net) = -sign(stated.net)) as near_opposite
            from pairs
            inner join stated on stated.file_id = pairs.file_id
            inner join sums on sums.file_id = pairs.items_file_id
                and sums.payout_id = stated.payout_id and sums.currency = stated.currency
            group by pairs.file_id, pairs.items_file_id
        )
        insert into raw.payout_signs (file_id, items_file_id, exact_same, exact_opposite, near_same, near_opposite)
        select * from final
        on conflict do nothing
    """  # noqa: S608 - names come from a contract
