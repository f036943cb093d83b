"""Which records a verification is asked for, and what the bytes of each must say for it to be what was asked.

Where a record stands is read from stored rows, which are themselves under suspicion: a row that leads to another
record would let a true proof of the wrong thing pass for an answer. So every selection carries a judgement over bytes.
Invariant: no more than `MAX_SELECTED` records are selected, and nothing here reads a record's bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, NotFound
from ledger_core.log.findings import EDITED, Failure
from ledger_core.log.proof import ProvedRecord
from ledger_core.log.record import Record, format_time, parse_record
from ledger_core.log.shapes import JOURNAL_ENTRY
from ledger_core.reading.balances import size_known_at
from ledger_core.reading.heads import read_head

MAX_SELECTED = 1_000
"""Records of one bundle; whoever wants more wants a segment and the offline verifier."""
SELECTORS = ("entry_ids", "seq_range", "period", "segment")
_INSTANT = timedelta(microseconds=1)
"""Times are whole microseconds: before a moment is as of the one before it."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _anything(seq: int, record: Record) -> bool:
    """A place in the log is named by itself: the tree shows what stands there."""
    del seq, record
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The seqs to prove; `is_asked` says of a record's own words whether it is what was asked for."""

    seqs: Sequence[int]
    table: str = "ledger.entries"
    """Whose rows said that these are the seqs."""
    is_asked: Callable[[int, Record], bool] = _anything
    nothing: NotFound | None = None
    """What is to be said where none of `seqs` was asked for, once they have shown that there is nothing between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A half-open stretch of one of the two times: `effective_at`, or `recorded_at`."""

    time: str
    start: datetime
    before: datetime

    def as_json(self) -> dict[str, str]:
        """Return the period as a selector names it."""
        name = self.time.removesuffix("_at")
        return {f"{name}_from": format_time(self.start), f"{name}_before": format_time(self.before)}

    def holds(self, moment: str) -> bool:
        """Say whether `moment`, as a record writes times, lies in it."""
        return format_time(self.start) <= moment < format_time(self.before)


def select(connection: Connection, book: str, selector: dict[str, Any]) -> Selected:
    """Return the records that `selector` names, none for a segment. Raises `NotFound`, `InvalidInput`, and
    `IntegrityError` (`verdict` and `seq` in its context) where a period cannot be found because records are not as they
    were."""
    if "entry_ids" in selector:
        return select_entries(
            connection, book, selector["entry_ids"], pointer=lambda index: f"/selector/entry_ids/{index}"
        )
    if "seq_range" in selector:
        first, following = selector["seq_range"]
        size = read_head(connection, book).size
        if not 0 <= first < following <= size:
            raise NotFound(
                f"book {book} has {size} records.",
                pointer="/selector/seq_range/next",
                remedy="A range is first <= seq < next.",
            )
        return Selected(seqs=_limited(range(first, following)))
    if "period" in selector:
        return _select_period(connection, book, selector["period"])
    if "segment" in selector:
        return Selected(seqs=())
    raise InvalidInput(f"name one of {', '.join(SELECTORS)}.", pointer="/selector")


def select_entries(
    connection: Connection, book: str, ids: Sequence[str], *, pointer: Callable[[int], str | None] = lambda _index: None
) -> Selected:
    """Return where the entries of those ids, else of those `external_id`s, stand. Raises `NotFound`."""
    given = [item.lower() for item in ids if _UUID.fullmatch(item)]
    by_id: dict[str, int] = {}
    if given:
        query = "select id::text, seq from ledger.entries where book = :book and id = any(cast(:ids as uuid[]))"
        by_id = {row.id: row.seq for row in connection.execute(text(query), {"book": book, "ids": given})}
    rest = [item for item in ids if item.lower() not in by_id]
    by_external_id: dict[str, int] = {}
    if rest:
        query = "select external_id, seq from ledger.entries where book = :book and external_id = any(:ids)"
        rows = connection.execute(text(query), {"book": book, "ids": rest})
        by_external_id = {row.external_id: row.seq for row in rows}
    asked: dict[int, set[str]] = {}
    for index, item in enumerate(ids):
        seq = by_id.get(item.lower(), by_external_id.get(item))
        if seq is None:
            raise NotFound(
                f"there is no entry {item[:80]} in book {book}.",
                pointer=pointer(index),
                remedy="Ask by seq_range if you hold its place: a row that is gone is not looked for in the log.",
            )
        asked.setdefault(seq, set()).add(item)

    def is_asked(seq: int, record: Record) -> bool:
        id, external_id = str(record.id), record.body.get("external_id")
        return record.kind == JOURNAL_ENTRY and all(item == external_id or item.lower() == id for item in asked[seq])

    return Selected(seqs=_limited(sorted(asked)), is_asked=is_asked)


def _select_period(connection: Connection, book: str, period: Period) -> Selected:
    """Return the entries of a stretch of business time, or all records of one of recorded time.

    Of recorded time the records on either side are selected too: as times only grow, they show that none is left out.
    """
    if period.time == "recorded_at":
        head = read_head(connection, book)
        first, following = (size_known_at(connection, book, at - _INSTANT) for at in (period.start, period.before))
        if first > following:
            raise IntegrityError(
                f"book {book}: the times of the records do not only grow.", verdict=EDITED, seq=following
            )
        _limited(range(first, following))
        # The record after the last one shows something once it is signed, and is no reason to wait for that.
        end = min(following + 1, max(following, head.signed_size))
        return Selected(
            seqs=range(max(first - 1, 0), end),
            table="ledger.records",
            is_asked=lambda seq, record: period.holds(record.recorded_at) == (first <= seq < following),
            nothing=_nothing("record", book) if first == following else None,
        )
    query = text(
        "select seq from ledger.entries where book = :book and effective_at >= :start and effective_at < :before "
        "limit :most"
    )
    given = {"book": book, "start": period.start, "before": period.before, "most": MAX_SELECTED + 1}
    seqs: list[int] = sorted(connection.execute(query, given).scalars())
    if not seqs:
        raise _nothing("entry", book)
    return Selected(
        seqs=_limited(seqs),
        is_asked=lambda _seq, record: record.kind == JOURNAL_ENTRY and period.holds(record.body["effective_at"]),
    )


def misled(selected: Selected, records: Iterable[ProvedRecord]) -> list[Failure]:
    """Return a failure for each record that is not what was asked for; unreadable bytes are the verifier's to name."""
    found = []
    for item in records:
        try:
            asked_for = selected.is_asked(item.seq, parse_record(item.canonical))
        except CounterfoilError:
            continue
        except (KeyError, TypeError):
            asked_for = False
        if not asked_for:
            detail = "the stored row leads to a record that is not what was asked for"
            found.append(Failure(verdict=EDITED, seq=item.seq, where=selected.table, detail=detail))
    return found


def _nothing(what: str, book: str) -> NotFound:
    return NotFound(
        f"book {book} has no {what} of that period.",
        pointer="/selector/period",
        remedy="`counterfoil check` shows whether a stored row is missing.",
    )


def _limited(seqs: Sequence[int]) -> Sequence[int]:
    if len(seqs) > MAX_SELECTED:
        raise InvalidInput(
            f"more than {MAX_SELECTED:,} records, the most of one bundle.",
            pointer="/selector",
            remedy="Ask for a smaller part or for a segment, or verify the export offline.",
        )
    return seqs
