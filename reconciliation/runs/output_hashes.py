"""One hash for what a run matched and one for what differs: the evidence that a run was repeated to the letter.

A tree of two levels, computed where the rows are: each row's SHA-256, those of one beginning hashed together in order,
and the hashes of all beginnings in order. No text is longer than a beginning's share of the rows, so it takes as little
memory at ten million rows as at ten. The order of rows and of their insertion decides nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

# What a match or difference says, without what depends on the order of posting: which of two equal entries came first.
MATCH_COLUMNS = (
    "leg, provider, account, currency, stage, rule, rule_version, is_equal, id_kind, ledger_key, psp_key, bank_key,"
    " ledger_amount_minor, psp_amount_minor, bank_amount_minor, psp_on, bank_on, ledger_count, psp_count"
)
DIFFERENCE_COLUMNS = (
    "leg, provider, account, class, status, key, sign, currency, other_currency, amount_minor, ledger_amount_minor,"
    " psp_amount_minor, bank_amount_minor, base_on, grace_until, opened_on, rule, rule_version"
)
SETTINGS = {
    "work_mem": "64MB",  # the digests of a large run are sorted on disk; this is what a sort may hold
    "datestyle": "ISO, YMD",  # what a row's text depends on besides the row, wherever the server is
    "jit": "off",
    # The planner takes a SHA-256 for as cheap as an addition, and would leave all of them to one process.
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
}
"""For the caller's transaction."""


def output_hashes(connection: Connection, schema: str) -> dict[str, str]:
    """Return the hashes of `fct_matches` and `fct_differences` in `schema`."""
    assert schema.isidentifier(), schema
    for name, value in SETTINGS.items():
        connection.execute(text(f"set local {name} = '{value}'"))
    return {
        "differences_sha256": _table_hash(connection, f"{schema}.fct_differences", DIFFERENCE_COLUMNS),
        "matches_sha256": _table_hash(connection, f"{schema}.fct_matches", MATCH_COLUMNS),
    }


def hash_query(table: str, columns: str) -> str:
    """Return the query for the hash over `columns` of `table`."""
    return _TABLE_HASH.format(table=table, columns=columns)


def _table_hash(connection: Connection, table: str, columns: str) -> str:
    found: str = connection.execute(text(hash_query(table, columns))).scalar_one()
    return found


# 65,536 beginnings: at 34 million rows each holds some 500 digests, 17 kB. A beginning is a number, because numbers
# sort faster than two bytes do. `offset 0` keeps the planner from computing a digest anew wherever it is named.
_TABLE_HASH = """
with hashed as (
    select sha256(convert_to(row({columns})::text, 'UTF8')) as digest
    from {table}
    offset 0
),

placed as (
    select
        get_byte(hashed.digest, 0) * 256 + get_byte(hashed.digest, 1) as beginning,
        hashed.digest
    from hashed
),

beginnings as (
    select
        placed.beginning,
        sha256(string_agg(placed.digest, ''::bytea order by placed.digest)) as digest
    from placed
    group by placed.beginning
)

select
    encode(sha256(coalesce(string_agg(beginnings.digest, ''::bytea order by beginnings.beginning), ''::bytea)), 'hex')
from beginnings
"""
