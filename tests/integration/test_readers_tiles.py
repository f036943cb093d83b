"""Tiles: written as they fill, and enough to prove any record by a few reads."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from ledger_core.errors import IntegrityError
from ledger_core.log.merkle import (
    Frontier,
    RangeTree,
    consistency_path,
    inclusion_path,
    verify_consistency,
    verify_inclusion,
)
from ledger_core.reading.tiles import TileEdge, grow_tiles, insert_tiles, node_reader, read_tile

pytestmark = pytest.mark.integration

SIZE = 66_321
"""Past one full tile of level 1 (65,536), so that three levels take part."""


@pytest.fixture
def leaves(engine: Engine) -> list[bytes]:
    """Records and tiles of a book of `SIZE` leaves, appended in batches of odd sizes."""
    hashes = [sha256(number.to_bytes(8, "big")).digest() for number in range(SIZE)]
    pooled = engine.raw_connection()
    conn: Any = pooled.driver_connection
    chance = random.Random(7)
    size, frontier, edge = 0, Frontier(), TileEdge()
    with conn.transaction():
        while size < SIZE:
            batch = hashes[size : size + chance.choice([1, 255, 256, 257, 1_000, 5_000])]
            with conn.cursor().copy("copy ledger.records from stdin") as copy:
                for offset, leaf in enumerate(batch):
                    copy.write_row(("main", size + offset, "journal_entry", "2026-01-01T00:00:00Z", leaf, b"{}"))
            tree = RangeTree(frontier, batch)
            insert_tiles(conn, "main", grow_tiles(conn, "main", size, batch, tree.node, edge))
            frontier = tree.frontier
            size += len(batch)
    pooled.close()
    return hashes


def test_any_record_is_proven_at_any_size_by_few_reads(engine: Engine, leaves: list[bytes]) -> None:
    reads = []
    event.listen(engine, "before_cursor_execute", lambda *args: reads.append(args[2]))
    for size in (1, 255, 256, 257, 511, 65_535, 65_536, 65_537, SIZE):
        root = Frontier().extend(leaves[:size]).root()
        for index in {0, size - 1, size // 2, size // 3}:
            reads.clear()
            with engine.connect() as connection:
                path = inclusion_path(index, size, node_reader(connection, "main", size))
            assert verify_inclusion(leaves[index], index, size, path, root)
            assert len(reads) <= 6


def test_two_sizes_are_proven_consistent_from_tiles(engine: Engine, leaves: list[bytes]) -> None:
    for old, new in ((1, SIZE), (256, 257), (65_535, 65_536), (65_536, SIZE), (40_000, 66_000)):
        with engine.connect() as connection:
            path = consistency_path(old, new, node_reader(connection, "main", new))
        before, after = Frontier().extend(leaves[:old]).root(), Frontier().extend(leaves[:new]).root()
        assert verify_consistency(old, before, new, after, path)


def test_only_full_tiles_are_stored_and_a_missing_one_is_named(engine: Engine, leaves: list[bytes]) -> None:
    with engine.connect() as connection:
        assert read_tile(connection, "main", 0, 0) == b"".join(leaves[:256])
        assert read_tile(connection, "main", 0, SIZE // 256) is None
        assert read_tile(connection, "main", 1, 0) is not None
        assert read_tile(connection, "main", 1, 1) is None
    with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False)) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute("delete from ledger.tiles where level = 0 and n = 3")
    with engine.connect() as connection, pytest.raises(IntegrityError) as caught:
        inclusion_path(800, SIZE, node_reader(connection, "main", SIZE))
    assert "tile 0/3" in str(caught.value)
