"""A room that records parcels, each once: its kind, its table, and what `check` derives of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import text

from ledger_core.errors import (
    Conflict,
    InvalidInput,
)
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.shapes import shape
from ledger_core.ports import RecordDraft
from ledger_core.runtime import Runtime


def _check_parcel(body: Any) -> None:
    if not isinstance(body["number"], str):
        raise InvalidInput("a parcel's number is text.", pointer="/body/number")


class _Derived:
    def __init__(self, checking: Any) -> None:
        self._rows = checking.compare(
            "select seq, number, weight from room.parcels where book = %(book)s order by seq",
            table="room.parcels",
            columns=("seq", "number", "weight"),
        )

    def take(self, seq: int, record: Any) -> None:
        self._rows.expect((seq, record.body["number"], record.body["weight"]))

    def skip(self, seq: int) -> None:
        self._rows.skip(seq)

    def finish(self) -> dict[str, int]:
        return {"parcels": self._rows.finish()}


class ParcelTaken(Conflict):
    """The room's own refusal."""

    code = "parcel_taken"


class Parcel(Kind):
    """A parcel is recorded once a number."""

    def read_facts(self, conn: Any, view: Any, items: Sequence[Any], before: Any) -> set[str]:
        rows = conn.execute("select number from room.parcels where book = %s", [view.book])
        return {number for (number,) in rows}

    def judge(self, judging: Any, item: Any, facts: set[str]) -> Accepted:
        number = item.members["number"]
        if number == "bug":
            raise KeyError(number)
        if number in facts:
            raise ParcelTaken(f"parcel {number} is recorded already.", pointer="/number", on=date(2026, 11, 23))
        facts.add(number)
        return Accepted(item, item.body)

    def undo(self, judging: Any, accepted: Accepted, facts: set[str]) -> None:
        facts.discard(accepted.item.members["number"])

    def project(self, conn: Any, book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for seq, each in accepted:
            members = each.item.members
            if members["number"] == "late":
                raise Conflict("refused while it was written")
            conn.execute(
                "insert into room.parcels (book, seq, number, weight) values (%s, %s, %s, %s)",
                [book, seq, members["number"], members["weight"]],
            )

    def derive(self, checking: Any) -> _Derived:
        return _Derived(checking)


PARCEL = Parcel(name="parcel", shape=shape("number weight", check=_check_parcel), scope="room:write")


def parcel(number: str, weight: int = 3) -> RecordDraft:
    return RecordDraft(kind="parcel", body={"number": number, "weight": weight})


def stored(runtime: Runtime) -> list[tuple[int, str]]:
    with runtime.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("select seq, number from room.parcels order by seq"))]
