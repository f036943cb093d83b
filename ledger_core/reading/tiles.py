"""Tiles of the Merkle tree (C2SP tlog-tiles, 256 wide): written as they fill, read to prove any record.

Tile (level, n) holds the hashes of the 256 complete subtrees of 256^level leaves that start at n * 256;
`root` is the tile's own node, so that the level above reads 32 bytes a tile. Only full tiles are stored: the
right edge is read from the records. A proof at 10 M records touches three levels: at most six reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from ledger_core.errors import IntegrityError
from ledger_core.log.merkle import HASH_BYTES, NodeReader, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile: its place, its own node, and the 256 hashes in it."""

    level: int
    n: int
    root: bytes
    hashes: bytes


class TileEdge:
    """The hashes of the last, unfilled tile of every level, kept from batch to batch.

    So that they are not read again, and because the tiles of a batch that is still being written cannot be read yet.
    """

    def __init__(self) -> None:
        self._size = -1
        self._levels: list[list[bytes]] = []

    def at(self, conn: psycopg.Connection[Any], book: str, size: int) -> list[list[bytes]]:
        """Return, by level, the hashes after the last full tile of the tree of `size` leaves."""
        if size != self._size:
            self._size, self._levels = size, []
            level = 0
            while size >> (TILE_HEIGHT * level):
                count = (size >> (TILE_HEIGHT * level)) % TILE_WIDTH
                first = (size >> (TILE_HEIGHT * level)) - count
                self._levels.append(_stored_hashes(conn, book, level, first, count) if count else [])
                level += 1
        return self._levels

    def move(self, size: int, levels: list[list[bytes]]) -> None:
        """Take `levels` as the edge at `size`."""
        self._size, self._levels = size, levels


def grow_tiles(
    conn: psycopg.Connection[Any],
    book: str,
    old_size: int,
    leaves: Sequence[bytes],
    node: NodeReader,
    edge: TileEdge,
) -> list[Tile]:
    """Return every tile that `leaves`, appended at `old_size`, fill.

    `node` knows the subtrees that `leaves` complete, so that nothing is hashed twice; `edge` is moved on.
    """
    made: list[Tile] = []
    before, after = edge.at(conn, book, old_size), list[list[bytes]]()
    fresh, level = list(leaves), 0
    while fresh or level < len(before):
        hashes = (before[level] if level < len(before) else []) + fresh
        first = (old_size >> (TILE_HEIGHT * level)) // TILE_WIDTH
        fresh = []
        for offset in range(len(hashes) // TILE_WIDTH):
            tile = hashes[offset * TILE_WIDTH : (offset + 1) * TILE_WIDTH]
            fresh.append(node(TILE_HEIGHT * (level + 1), first + offset))
            made.append(Tile(level, first + offset, fresh[-1], b"".join(tile)))
        after.append(hashes[len(fresh) * TILE_WIDTH :])
        level += 1
    edge.move(old_size + len(leaves), after)
    return made


def insert_tiles(conn: psycopg.Connection[Any], book: str, tiles: Sequence[Tile]) -> None:
    """Store `tiles`; part of transaction 1."""
    if tiles:
        conn.execute(
            "insert into ledger.tiles (book, level, n, root, hashes) "
            "select %s, * from unnest(%s::smallint[], %s::bigint[], %s::bytea[], %s::bytea[])",
            [
                book,
                [tile.level for tile in tiles],
                [tile.n for tile in tiles],
                [tile.root for tile in tiles],
                [tile.hashes for tile in tiles],
            ],
        )


def node_reader(conn: Connection, book: str, size: int) -> NodeReader:
    """Return a reader of the complete subtrees of the tree of `size` leaves; it keeps the tiles it has read.

    Raises `IntegrityError` when a tile or a record that must exist does not.
    """
    return _TileReader(conn, book, size).node


def read_tile(conn: Connection, book: str, level: int, n: int) -> bytes | None:
    """Return the 8,192 bytes of a full tile, or None when it is not full yet."""
    found = conn.execute(
        text("select hashes from ledger.tiles where book = :book and level = :level and n = :n"),
        {"book": book, "level": level, "n": n},
    ).scalar()
    return None if found is None else bytes(found)


def read_roots(conn: Connection, book: str, level: int, first: int, count: int) -> list[bytes]:
    """Return the nodes of the full tiles `first` and on of `level`, at most `count`; fewer where fewer are stored."""
    rows: Iterable[Any] = conn.execute(
        text(
            "select root from ledger.tiles where book = :book and level = :level "
            "and n >= :first and n < :next order by n"
        ),
        {"book": book, "level": level, "first": first, "next": first + count},
    ).scalars()
    return [bytes(row) for row in rows]


def read_leaves(conn: Connection, book: str, first: int, count: int) -> list[bytes]:
    """Return the leaf hashes of the records `first` and on, at most `count`; fewer where fewer are stored."""
    rows: Iterable[Any] = conn.execute(
        text("select leaf_hash from ledger.records where book = :book and seq >= :first and seq < :next order by seq"),
        {"book": book, "first": first, "next": first + count},
    ).scalars()
    return [bytes(row) for row in rows]


def read_records(conn: Connection, book: str, first: int, count: int) -> list[bytes]:
    """Return the canonical bytes of the records `first` and on, at most `count`; fewer where fewer are stored."""
    rows: Iterable[Any] = conn.execute(
        text("select canonical from ledger.records where book = :book and seq >= :first and seq < :next order by seq"),
        {"book": book, "first": first, "next": first + count},
    ).scalars()
    return [bytes(row) for row in rows]


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Return the node over a power of two of `hashes`."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


class _TileReader:
    def __init__(self, conn: Connection, book: str, size: int) -> None:
        self._conn = conn
        self._book = book
        self._size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree of 2^level leaves at `index`. Raises `KeyError` past our size."""
        if index + 1 << level > self._size:
            raise KeyError((level, index))
        tile_level, height = divmod(level, TILE_HEIGHT)
        first, count = index << height, 1 << height
        n, offset = divmod(first, TILE_WIDTH)
        if (tile_level, n) not in self._tiles:
            self._tiles[tile_level, n] = self._read(tile_level, n)
        return subtree_root(self._tiles[tile_level, n][offset : offset + count])

    def _read(self, level: int, n: int) -> list[bytes]:
        """Return the hashes of tile (level, n) as of our size, which at the right edge is not full."""
        complete = self._size >> (TILE_HEIGHT * level)
        first = n * TILE_WIDTH
        if first + TILE_WIDTH <= complete:
            data = read_tile(self._conn, self._book, level, n)
            if data is None:
                raise self._missing(f"tile {level}/{n}")
            return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        return self._roots(level - 1, first, complete - first) if level else self._leaves(first, complete - first)

    def _roots(self, level: int, first: int, count: int) -> list[bytes]:
        found = read_roots(self._conn, self._book, level, first, count)
        return self._whole(found, count, f"tiles {level}/{first} to {first + count - 1}")

    def _leaves(self, first: int, count: int) -> list[bytes]:
        found = read_leaves(self._conn, self._book, first, count)
        return self._whole(found, count, f"records {first} to {first + count - 1}")

    def _whole(self, found: list[bytes], count: int, what: str) -> list[bytes]:
        if len(found) != count:
            raise self._missing(what)
        return found

    def _missing(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"book {self._book}: {what} should exist at size {self._size} and do not.",
            remedy="Run `counterfoil check`; restore, or replay from the archive.",
        )


def _stored_hashes(conn: psycopg.Connection[Any], book: str, level: int, first: int, count: int) -> list[bytes]:
    if level == 0:
        rows = conn.execute(
            "select leaf_hash from ledger.records where book = %s and seq >= %s and seq < %s order by seq",
            [book, first, first + count],
        )
    else:
        rows = conn.execute(
            "select root from ledger.tiles where book = %s and level = %s and n >= %s and n < %s order by n",
            [book, level - 1, first, first + count],
        )
    found = [bytes(row[0]) for row in rows]
    if len(found) != count:
        raise IntegrityError(f"book {book}: hashes {first} to {first + count - 1} of tile level {level} are missing.")
    return found
