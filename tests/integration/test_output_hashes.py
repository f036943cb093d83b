"""The hash over what a run says: of the rows and of nothing else, and never one text as long as the table."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256

import pytest
from sqlalchemy import Connection, Engine, text

from reconciliation.runs.output_hashes import DIFFERENCE_COLUMNS, MATCH_COLUMNS, hash_query, output_hashes

pytestmark = pytest.mark.integration


def made(connection: Connection, order: str, *, rows: int = 3_000, changed: int | None = None) -> dict[str, str]:
    """Return the hashes over tables of the marts' names, filled in `order`; everything is text here."""
    connection.execute(text("drop schema if exists hashed cascade"))
    connection.execute(text("create schema hashed"))
    for table, columns in (("fct_matches", MATCH_COLUMNS), ("fct_differences", DIFFERENCE_COLUMNS)):
        names = columns.split(", ")
        connection.execute(text(f"create table hashed.{table} ({', '.join(f'{name} text' for name in names)})"))
        value = "case when n = :changed then 'other' else 'k' || n % 2000 end"
        connection.execute(
            text(
                f"insert into hashed.{table} select {', '.join([value] * len(names))}"
                f" from generate_series(1, :rows) as n order by n {order}"
            ),
            {"rows": rows, "changed": changed},
        )
    return output_hashes(connection, "hashed")


def test_rows_decide_and_their_order_does_not(engine: Engine) -> None:
    with engine.begin() as connection:
        first = made(connection, "asc")
        assert made(connection, "desc") == first
        assert len(set(first.values())) == 2
        other = made(connection, "asc", changed=7)
        assert all(other[name] != first[name] for name in first)
        # Equal rows count as often as they stand there.
        assert made(connection, "asc", rows=2_000) != made(connection, "asc", rows=2_001)


def test_it_is_a_tree_over_the_beginnings_of_the_digests(engine: Engine) -> None:
    with engine.begin() as connection:
        found = made(connection, "asc")["matches_sha256"]
        rows = connection.execute(text(f"select row({MATCH_COLUMNS})::text as written from hashed.fct_matches"))
        beginnings: dict[bytes, list[bytes]] = defaultdict(list)
        for row in rows:
            digest = sha256(row.written.encode()).digest()
            beginnings[digest[:2]].append(digest)
    leaves = [sha256(b"".join(sorted(beginnings[each]))).digest() for each in sorted(beginnings)]
    assert found == sha256(b"".join(leaves)).hexdigest()


@pytest.mark.parametrize(
    "setting",
    [
        "datestyle = 'SQL, DMY'",
        "timezone = 'Asia/Tokyo'",
        "lc_monetary = 'C'",
        "bytea_output = 'escape'",
        "extra_float_digits = 0",
        "max_parallel_workers_per_gather = 0",
    ],
)
def test_what_a_session_or_server_is_set_to_does_not_decide(engine: Engine, setting: str) -> None:
    with engine.begin() as connection:
        made(connection, "asc")
        connection.execute(text("alter table hashed.fct_matches alter psp_on type date using date '2026-10-09'"))
        connection.execute(text("alter table hashed.fct_differences alter base_on type date using date '2026-10-09'"))
        # Small tables are spread over processes as well, or the last case would compare one with one.
        connection.execute(text("set local min_parallel_table_scan_size = 0"))
        first = output_hashes(connection, "hashed")
        connection.execute(text(f"set local {setting}"))
        assert output_hashes(connection, "hashed") == first


def test_a_digest_is_computed_once_a_row_and_by_every_process(engine: Engine) -> None:
    digest = "sha256(convert_to("
    with engine.begin() as connection:
        connection.execute(text("set local min_parallel_table_scan_size = 0"))
        made(connection, "asc")
        alone, together = plan_of_the_hash(connection, processes=0), plan_of_the_hash(connection, processes=2)
    assert alone.count(digest) == 1, alone
    assert digest in together.partition("Parallel Seq Scan")[2], together


def plan_of_the_hash(connection: Connection, *, processes: int) -> str:
    connection.execute(text(f"set local max_parallel_workers_per_gather = {processes}"))
    query = hash_query("hashed.fct_matches", MATCH_COLUMNS)
    return "\n".join(connection.execute(text(f"explain (verbose, costs off) {query}")).scalars())


def test_nothing_has_a_hash_too(engine: Engine) -> None:
    with engine.begin() as connection:
        assert set(made(connection, "asc", rows=0).values()) == {sha256(b"").hexdigest()}
