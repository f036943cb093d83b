"""Which break a difference belongs to: looked up by the ids that they share, never computed from its diagnosis.

Sets in the database, so that a night of a million differences takes no memory here: in the caller's transaction,
with temporary tables, of which `assigned` and `difference_keys` are left for the merge. Invariants:
two differences of one run never share a break; a break keeps its id when its class, amount or one of its sides changes;
the same input gives the same answer whatever its order.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

KIND_ORDER = (
    "balance_transaction",
    "source",
    "charge",
    "payment_intent",
    "merchant_reference",
    "payout",
    "topup",
    "batch",
    "reference",
    "bank_reference",
    "bank_line",
    "entry",
)
"""The order in which shared ids are believed: the provider's own first, as in stage 1 of the waterfall."""


def assign(connection: Connection, *, book: str, schema: str) -> None:
    """Fill `assigned` with the break of each difference of `schema` that is past its grace."""
    assert schema.isidentifier(), schema
    for statement in _SETUP:
        connection.execute(text(statement.format(schema=schema)), {"book": book, "kinds": list(KIND_ORDER)})
    while connection.execute(text(_GRANT)).rowcount:
        connection.execute(text(_DROP_GRANTED.format(side="difference_id")))
        connection.execute(text(_DROP_GRANTED.format(side="break_id")))
    _mint(connection, book=book, schema=schema)
    connection.execute(text("analyze pg_temp.assigned"))


def release(connection: Connection) -> None:
    """Drop what `assign` left."""
    connection.execute(text("drop table pg_temp.assigned, pg_temp.difference_keys, pg_temp.wishes, pg_temp.unnamed"))


def _mint(connection: Connection, *, book: str, schema: str) -> None:
    """Name what is new: the hash of its canonical array; an ordinal tells apart what would have the same name."""
    connection.execute(text(_UNNAMED.format(schema=schema)), {"book": book})
    spare = 0
    while connection.execute(text(_NAME), {"book": book, "spare": spare}).rowcount or _waiting(connection):
        connection.execute(text(_DROP_NAMED))
        # Names that older breaks bear are skipped: the next round looks further.
        spare = spare * 4 + 4


def _waiting(connection: Connection) -> bool:
    return bool(connection.execute(text("select exists (select 1 from pg_temp.unnamed)")).scalar())


_SETUP = (
    "create temporary table assigned (difference_id text primary key, break_id text not null unique)",
    """
create temporary table difference_keys as
select
    differences.difference_id,
    differences.leg,
    differences.provider,
    differences.account,
    differences.sign,
    listed.value ->> 0 as kind,
    listed.value ->> 1 as key,
    listed.value ->> 2 as currency,
    listed.place
from {schema}.fct_differences as differences
cross join jsonb_array_elements(differences.identity_keys) with ordinality as listed (value, place)
where differences.status = 'break'
""",
    "analyze pg_temp.difference_keys",
    # One row a difference and break that share an id, in the order in which ids are believed.
    """
create temporary table wishes as
select
    row_number() over (
        order by
            min(coalesce(array_position(cast(:kinds as text[]), keys.kind), 1000) * 1000000::bigint + keys.place),
            keys.difference_id collate "C",
            known.break_id collate "C"
    ) as ordinal,
    keys.difference_id,
    known.break_id
from pg_temp.difference_keys as keys
inner join recon.break_keys as known
    on known.book = :book
    and keys.leg = known.leg
    and keys.provider = known.provider
    and keys.account = known.account
    and keys.kind = known.kind
    and keys.key = known.key
    and keys.sign = known.sign
    and keys.currency = known.currency
group by keys.difference_id, known.break_id
""",
    "analyze pg_temp.wishes",
)

# The wish that comes first for both its difference and its break is granted; the others of both lapse.
_GRANT = """
insert into pg_temp.assigned (difference_id, break_id)
select ranked.difference_id, ranked.break_id
from (
    select
        wishes.ordinal,
        wishes.difference_id,
        wishes.break_id,
        min(wishes.ordinal) over (partition by wishes.difference_id) as first_of_difference,
        min(wishes.ordinal) over (partition by wishes.break_id) as first_of_break
    from pg_temp.wishes
) as ranked
where ranked.ordinal = ranked.first_of_difference
    and ranked.ordinal = ranked.first_of_break
"""

_DROP_GRANTED = "delete from pg_temp.wishes using pg_temp.assigned where wishes.{side} = assigned.{side}"

# The array up to its last bracket, written as canonical JSON writes it: text is escaped alike by both.
_UNNAMED = """
create temporary table unnamed as
select
    named.difference_id,
    named.name,
    row_number() over (partition by named.name order by named.difference_id collate "C") as place
from (
    select
        differences.difference_id,
        '[' || concat_ws(
            ',',
            to_json(cast(:book as text)),
            to_json(differences.leg),
            to_json(differences.provider),
            to_json(differences.account),
            differences.sign,
            to_json(differences.key),
            to_json(differences.currency)
        ) as name
    from {schema}.fct_differences as differences
    left join pg_temp.assigned
        on differences.difference_id = assigned.difference_id
    where differences.status = 'break'
        and assigned.difference_id is null
) as named
"""

# The n-th difference of a name takes the n-th ordinal that is free; a name with too few of them waits for more.
_NAME = """
with wanted as (
    select unnamed.name, count(*) as waiting
    from pg_temp.unnamed
    group by unnamed.name
),

offered as (
    select
        wanted.name,
        wanted.waiting,
        ordinals.ordinal,
        encode(
            sha256(
                convert_to(
                    wanted.name || case when ordinals.ordinal = 1 then '' else ',' || ordinals.ordinal end || ']',
                    'UTF8'
                )
            ),
            'hex'
        ) as break_id
    from wanted
    cross join lateral generate_series(1, wanted.waiting + cast(:spare as bigint)) as ordinals (ordinal)
),

free as (
    select
        offered.name,
        offered.waiting,
        offered.break_id,
        row_number() over (partition by offered.name order by offered.ordinal) as place,
        count(*) over (partition by offered.name) as offers
    from offered
    left join recon.breaks as standing
        on standing.book = :book
        and offered.break_id = standing.break_id
    left join pg_temp.assigned
        on offered.break_id = assigned.break_id
    where standing.break_id is null
        and assigned.break_id is null
)

insert into pg_temp.assigned (difference_id, break_id)
select unnamed.difference_id, free.break_id
from pg_temp.unnamed
inner join free
    on unnamed.name = free.name
    and unnamed.place = free.place
where free.offers >= free.waiting
"""

_DROP_NAMED = "delete from pg_temp.unnamed using pg_temp.assigned where unnamed.difference_id = assigned.difference_id"
