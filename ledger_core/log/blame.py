"""Which record is to blame when the tree says no: edited, missing, reordered, or a second one for its place.

The tree decides whether anything is wrong; `seq` and `prev` inside the records only tell where. A record whose
successor names another predecessor was edited, unless that successor's own bytes are the altered ones, which its
successor in turn shows: hence the look one record ahead. If the signed root holds after all, nothing was altered
after signing, and what the records say against each other was signed that way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger_core.log.findings import (
    EDITED,
    FORKED,
    MAX_FAILURES,
    MISSING,
    REORDERED,
    TRUNCATED,
    Failure,
)
from ledger_core.log.record import Record

MAX_GAPS = 1_000
MAX_OBJECTIONS = 8
"""More cannot be made to one record and the one after it."""


@dataclass(slots=True)
class _Gap:
    """Seqs [first, end) that were passed over; `rest` of them have not turned up since."""

    first: int
    end: int
    rest: int


class Blame:
    """Follow the order of records from `first_seq`, whose predecessor has the leaf hash `prev`."""

    def __init__(self, *, first_seq: int, prev: bytes) -> None:
        self.expected = first_seq
        """The seq that the next record should have."""
        self._first = first_seq
        self.last_leaf = prev
        """The leaf hash that the next record should name."""
        self._is_unread = False
        self._intact: set[int] = set()
        """Seqs of objectionable records whose bytes the record after them vouches for."""
        self._suspect: int | None = None
        self._gaps: list[_Gap] = []
        self._order: list[Failure] = []
        self._content: list[Failure] = []
        self.suppressed = 0

    @property
    def is_disturbed(self) -> bool:
        """Say whether the order is broken, so that whole batches can no longer be compared at once."""
        return bool(self._order or self._gaps) or self._suspect is not None or self._is_unread

    def skip(self, count: int, last_leaf: bytes) -> None:
        """Pass over `count` records that are known to be in order."""
        self.vouch(self.expected - 1)
        self.expected += count
        self.last_leaf = last_leaf

    def object(self, failure: Failure) -> None:
        """Note that a record, wherever it stands, is not what a record may be."""
        self._keep(self._content, failure)

    def vouch(self, seq: int) -> None:
        """Note that the record after `seq` names the bytes that stand there: the objection is to what was signed."""
        # The record after it may have been objected to as well, before it was placed.
        if self._content and any(item.seq == seq for item in self._content[-MAX_OBJECTIONS:]):
            self._intact.add(seq)

    def follow(self, record: Record | None, leaf: bytes) -> None:
        """Place the next record (None: it cannot be read) behind those before it."""
        here = self.expected
        if record is None:
            self._settle()
            self._advance(here + 1, leaf, is_unread=True)
        elif record.prev == self.last_leaf:
            self._settle()
            self.vouch(here - 1)
            if record.seq != here:
                self._order_failure(EDITED, here, f"the record in this place says that it is seq {record.seq}")
            self._advance(here + 1, leaf)
        elif record.seq == here:
            if self._suspect is not None:
                self._suspect = None
                self._order_failure(EDITED, here - 1, "the records on both sides do not fit it")
            elif not self._is_unread:
                self._suspect = here
            self._advance(here + 1, leaf)
        elif record.seq > here:
            self._settle()
            if len(self._gaps) < MAX_GAPS:
                self._gaps.append(_Gap(here, record.seq, record.seq - here))
            self._advance(record.seq + 1, leaf)
        else:
            self._late(record.seq)

    def close(
        self, *, next_seq: int | None = None, last_leaf: bytes | None = None, root_holds: bool = True
    ) -> list[Failure]:
        """Return what was wrong, by seq.

        `next_seq` and `last_leaf` are what the manifest says of the end, `root_holds` what the signed tree says of
        all.
        """
        if last_leaf is not None and self.expected == next_seq:
            if self.last_leaf == last_leaf:
                self._settle()
                self.vouch(self.expected - 1)
            elif not self._is_unread:
                self._suspect = None
                self._order_failure(EDITED, self.expected - 1, "it is not the record that the manifest ends with")
        self._settle()
        for gap in self._gaps:
            if gap.rest:
                self._order_failure(MISSING, gap.first, f"no record for seq {gap.first} to {gap.end - 1}")
        if next_seq is not None and self.expected < next_seq:
            self._order_failure(TRUNCATED, self.expected, f"the records end here; {next_seq} were signed")
        elif next_seq is not None and self.expected > next_seq:
            self._order_failure(EDITED, next_seq, f"{self.expected - next_seq} records more than were signed")
        content = self._content
        if not root_holds:
            # Of bytes that nobody signed it is idle to say that they break a rule.
            content = [item if item.seq in self._intact else replace(item, verdict=EDITED) for item in content]
            explained = self._order or any(item.verdict == EDITED for item in content)
            if not explained and (next_seq is None or next_seq > self._first):
                detail = "from here on or later: the records fit each other, and not the signed root"
                self._order_failure(EDITED, self._first, detail)
        return sorted([*self._order, *content], key=lambda item: -1 if item.seq is None else item.seq)

    def _advance(self, expected: int, leaf: bytes, *, is_unread: bool = False) -> None:
        self.expected, self.last_leaf, self._is_unread = expected, leaf, is_unread

    def _settle(self) -> None:
        """Blame the record before the suspect: the suspect is intact, or nothing more will tell."""
        if self._suspect is None:
            return
        culprit, self._suspect = self._suspect - 1, None
        if culprit < self._first:
            detail = "it names another predecessor than the record before this segment"
            self._order_failure(FORKED, culprit + 1, detail)
        else:
            self._order_failure(EDITED, culprit, "the record after it names other bytes as its predecessor")

    def _late(self, seq: int) -> None:
        for gap in self._gaps:
            if gap.first <= seq < gap.end and gap.rest:
                gap.rest -= 1
                self._order_failure(REORDERED, seq, "it stands after records that follow it")
                return
        self._order_failure(FORKED, seq, "a second record claims this seq")

    def _order_failure(self, verdict: str, seq: int, detail: str) -> None:
        self._keep(self._order, Failure(verdict=verdict, seq=seq, where="", detail=detail))

    def _keep(self, failures: list[Failure], failure: Failure) -> None:
        if len(failures) < MAX_FAILURES:
            failures.append(failure)
        else:
            self.suppressed += 1
