"""The log as C2SP tlog-tiles: paths read strictly, tiles and entry bundles as bytes.

Only what a signature covers is served: a tile that reaches past `signed_size` does not exist yet. Full tiles are stored
rows and never change; a partial one is the right edge at the width that was asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from ledger_core.errors import IntegrityError, NotFound
from ledger_core.reading.tiles import TILE_HEIGHT, TILE_WIDTH, read_leaves, read_records, read_roots, read_tile

MAX_LEVEL = 7
"""256^8 leaves are more than a size can count."""

_NUMBER = r"(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_PATH = re.compile(rf"(?P<level>[0-9]|[1-5][0-9]|6[0-3])/{_NUMBER}", re.ASCII)
_ENTRIES_PATH = re.compile(_NUMBER, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """A tile as its path names it; `level` is None for a bundle of entries, `width` 256 for a full one."""

    level: int | None
    n: int
    width: int

    @property
    def end(self) -> int:
        """Return the number of leaves that must exist for it."""
        return (self.n * TILE_WIDTH + self.width) << (TILE_HEIGHT * (self.level or 0))


def parse_tile_path(path: str) -> TilePath:
    """Read `<level>/<n>[.p/<width>]` with n in groups of three digits. Raises `NotFound` for any other form."""
    found = _PATH.fullmatch(path)
    return _parsed(path, found, None if found is None else int(found["level"]))


def parse_entries_path(path: str) -> TilePath:
    """Read `<n>[.p/<width>]` of a bundle of entries. Raises `NotFound` for any other form."""
    return _parsed(path, _ENTRIES_PATH.fullmatch(path), None)


def _parsed(path: str, found: re.Match[str] | None, level: int | None) -> TilePath:
    width = int(found["width"] or TILE_WIDTH) if found else 0
    groups = found["n"].replace("x", "").split("/") if found else []
    # One number has one path: no group of zeros in front, and a full tile names no width.
    if found is None or width > TILE_WIDTH or found["width"] == str(TILE_WIDTH) or (groups[0] == "000" and groups[1:]):
        raise NotFound(f"{path[:80]!r} is not the path of a tile.", remedy="See C2SP tlog-tiles: tile/0/x001/234.")
    return TilePath(level=level, n=int("".join(groups)), width=width)


def read_tile_bytes(connection: Connection, book: str, tile: TilePath, signed_size: int) -> bytes:
    """Return the tile's bytes. Raises `NotFound` when a signature does not cover all of it."""
    if (tile.level or 0) > MAX_LEVEL or tile.end > signed_size:
        raise NotFound(
            f"the signed log has {signed_size:,} records; that tile needs {tile.end:,}.",
            remedy="Ask for a partial tile, or later.",
        )
    if tile.level is None:
        return _bundle(connection, book, tile)
    if tile.width == TILE_WIDTH:
        data = read_tile(connection, book, tile.level, tile.n)
        if data is None:
            raise IntegrityError(
                f"book {book}: tile {tile.level}/{tile.n} should exist at size {signed_size} and does not.",
                remedy="Run `counterfoil check`.",
            )
        return data
    return _partial(connection, book, tile)


def _partial(connection: Connection, book: str, tile: TilePath) -> bytes:
    first = tile.n * TILE_WIDTH
    if tile.level:
        hashes = read_roots(connection, book, tile.level - 1, first, tile.width)
    else:
        hashes = read_leaves(connection, book, first, tile.width)
    return b"".join(_whole(hashes, book, tile))


def _bundle(connection: Connection, book: str, tile: TilePath) -> bytes:
    """Return the records, each after its length in two bytes, most significant first."""
    first = tile.n * TILE_WIDTH
    records = _whole(read_records(connection, book, first, tile.width), book, tile)
    return b"".join(len(record).to_bytes(2, "big") + record for record in records)


def _whole(found: list[bytes], book: str, tile: TilePath) -> list[bytes]:
    if len(found) != tile.width:
        raise IntegrityError(
            f"book {book}: {tile.width} parts of a tile should be stored and {len(found)} are.",
            remedy="Run `counterfoil check`.",
        )
    return found
