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
WORK_MEM = "64MB"
"""The digests of a large run are sorted on disk; this is what the sort may hold."""


def output_hashes(connection: Connection, schema: str) -> dict[str, str]:
    """Return the hashes of `fct_matches` and `fct_differences` in `schema`."""
    assert schema.isidentifier(), schema
    connection.execute(text(f"set local work_mem = '{WORK_MEM}'"))
    return {
        "differences_sha256": _table_hash(connection, f"{schema}.fct_differences", DIFFERENCE_COLUMNS),
        "matches_sha256": _table_hash(connection, f"{schema}.fct_matches", MATCH_COLUMNS),
    }


def _table_hash(connection: Connection, table: str, columns: str) -> str:
    found: str = connection.execute(text(_TABLE_HASH.format(table=table, columns=columns))).scalar_one()
    return found


# 65,536 beginnings: at 34 million rows each holds some 500 digests, 17 kB.
_TABLE_HASH = """
with hashed as (
    select sha256(convert_to(row({columns})::text, 'UTF8')) as digest
    from {table}
),

beginnings as (
    select
        substr(hashed.digest, 1, 2) as beginning,
        sha256(string_agg(hashed.digest, ''::bytea order by hashed.digest)) as digest
    from hashed
    group by substr(hashed.digest, 1, 2)
)

select
    encode(sha256(coalesce(string_agg(beginnings.digest, ''::bytea order by beginnings.beginning), ''::bytea)), 'hex')
from beginnings
"""
