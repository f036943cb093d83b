"""The hash over what a run says: of the rows and of nothing else, and never one text as long as the table."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256

import pytest
from sqlalchemy import Connection, Engine, text

from reconciliation.runs.output_hashes import DIFFERENCE_COLUMNS, MATCH_COLUMNS, output_hashes

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


def test_nothing_has_a_hash_too(engine: Engine) -> None:
    with engine.begin() as connection:
        assert set(made(connection, "asc", rows=0).values()) == {sha256(b"").hexdigest()}
