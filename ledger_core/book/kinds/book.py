"""The first record of a log, which says whose book it is. Written by `book/opening.py` alone, once, at seq 0."""

from __future__ import annotations

from ledger_core.kinds import Checking, Derivation, Kind
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import Draft


class Book(Kind):
    """The kind `book`: nobody appends one."""

    def accepts(self, draft: Draft) -> bool:
        return False

    def derive(self, checking: Checking) -> Derivation:
        return _Place(checking)


class _Place:
    """Holds every `book` record against seq 0 and the origin of the log."""

    def __init__(self, checking: Checking) -> None:
        self._checking = checking

    def take(self, seq: int, record: Record) -> None:
        origin = record.body["origin"]
        if seq != 0 or origin != self._checking.origin:
            self._checking.report_edited(seq, f"a book record of {origin} stands here")

    def skip(self, seq: int) -> None:
        """Do nothing: the chain reports the damage."""

    def finish(self) -> dict[str, int]:
        return {}


BOOK: Kind = Book(name="book", shape=SHAPES["book"])
