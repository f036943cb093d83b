"""Tiles of the tree, level by level, as the leaf hashes make them (C2SP tlog-tiles, full tiles only).

Level 0 holds leaf hashes; a tile's own root is a hash of the level above. Memory is one open tile a level.
"""

from __future__ import annotations

from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.log.merkle import Frontier

TILE_WIDTH = 256


class Tiles:
    """Derives `tiles`, one ordered comparison a level."""

    def __init__(self, snapshot: Snapshot, findings: Findings) -> None:
        self._snapshot = snapshot
        self._findings = findings
        self._levels: list[_Level] = []
        self._whole = True

    def take(self, leaf: bytes) -> None:
        """Take the next leaf hash."""
        if self._whole:
            self._add(0, leaf)

    def give_up(self) -> None:
        """Stop at a gap: no tile behind a missing leaf can be derived."""
        self._whole = False

    def finish(self) -> int:
        """Return how many tiles were compared; tiles that the log does not fill are reported."""
        compared = 0
        for level in self._levels:
            compared += level.rows.finish() if self._whole else level.rows.compared
        if self._whole:
            beyond = self._snapshot.one(
                "select count(*) from ledger.tiles where book = %(book)s and level >= %(level)s",
                level=len(self._levels),
            )
            if beyond and beyond[0]:
                self._findings.add(
                    Code.TILES_MISMATCH, "ledger.tiles", None,
                    f"{beyond[0]} tiles stand at levels that a log of this size does not have",
                )  # fmt: skip
        return compared

    def _add(self, level: int, hashed: bytes) -> None:
        if level == len(self._levels):
            self._levels.append(self._open(level))
        row = self._levels[level]
        row.waiting.append(hashed)
        if len(row.waiting) < TILE_WIDTH:
            return
        root = Frontier().extend(row.waiting).root()
        row.rows.expect((row.n, root, b"".join(row.waiting)))
        row.n += 1
        row.waiting.clear()
        self._add(level + 1, root)

    def _open(self, level: int) -> _Level:
        rows = self._snapshot.rows(
            "select n, root, hashes from ledger.tiles where book = %(book)s and level = %(level)s order by n",
            level=level,
        )
        lockstep = Lockstep(
            rows,
            table=f"ledger.tiles level {level}",
            code=Code.TILES_MISMATCH,
            columns=("n", "root", "hashes"),
            key_length=1,
            findings=self._findings,
            seq_column=None,
        )
        return _Level(lockstep)


class _Level:
    __slots__ = ("n", "rows", "waiting")

    def __init__(self, rows: Lockstep) -> None:
        self.rows = rows
        self.waiting: list[bytes] = []
        self.n = 0
