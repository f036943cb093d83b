"""The side table of private values against what the records commit to, and against what the log says was erased.

A value that is missing is one of three: erased, when an erasure record names it; not held, when its record came by a
replay, because an archive has none; lost or taken away, which is a finding. What is held must open its commitment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.log.commitments import opens, unseal

TABLE = "ledger.private_values"


class PrivateValues:
    """Walks the side table beside the entries; `only` limits it to some seqs."""

    def __init__(self, snapshot: Snapshot, findings: Findings, *, only: Sequence[int] | None = None) -> None:
        limit = "" if only is None else " and seq = any(%(only)s::bigint[])"
        given = {} if only is None else {"only": list(only)}
        self._snapshot = snapshot
        self._findings = findings
        self._compared = self._not_held = 0
        self._held = _BySeq(
            snapshot.rows(
                "select seq, name, key.salt, key.key, value.sealed from ledger.private_keys as key"  # noqa: S608
                " full join ledger.private_values as value using (book, seq, name)"
                f" where book = %(book)s{limit} order by seq, name",
                **given,
            )
        )
        self._erased = _BySeq(
            snapshot.rows(
                "select entry_seq, name, seq from ledger.erased_values"  # noqa: S608
                f" where book = %(book)s{limit.replace('seq', 'entry_seq')} order by entry_seq, name",
                **given,
            )
        )
        self._replayed = list(
            snapshot.rows("select first_seq, next_seq from ledger.replays where book = %(book)s order by first_seq")
        )
        self._names_erased_by = lru_cache(maxsize=64)(self._read_names)

    def take(self, seq: int, commitments: Mapping[str, str] | None) -> None:
        """Compare what is held of the entry at `seq`; None for one without private values, as nearly all are."""
        if commitments is None and not self._held.has(seq):
            return
        self._orphans_before(seq)
        held = self._held.at(seq)
        erased = self._erased_of(seq)
        for name, commitment in sorted((commitments or {}).items()):
            self._compared += 1
            row = held.pop(name, None)
            if name in erased:
                if row is not None:
                    self._report(
                        Code.NOT_ERASED, seq, f"{name}, which the record at seq {erased[name]} erased, is there"
                    )
            elif row is None:
                self._missing(seq, name)
            elif not _opens(name, commitment, row):
                self._report(Code.PRIVATE_MISMATCH, seq, f"what is held of {name} is not what the record commits to")
        for name in held:
            self._report(Code.PRIVATE_MISMATCH, seq, f"{name} is held, and the record commits to no such value")

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._orphans_before(seq)
        self._held.at(seq)

    def finish(self) -> dict[str, int]:
        """Report rows of no entry; return the values compared."""
        self._orphans_before(None)
        if self._not_held:
            spans = ", ".join(f"{first} to {end - 1}" for first, end in self._replayed)
            self._findings.note(
                f"{self._not_held} private values are not held and not erased: their records came by a replay (seq "
                f"{spans}), and an archive has none of them"
            )
        return {"private_values": self._compared}

    def _missing(self, seq: int, name: str) -> None:
        if any(first <= seq < end for first, end in self._replayed):
            self._not_held += 1
        else:
            self._report(Code.PRIVATE_MISSING, seq, f"{name} is not held, and no record erased it")

    def _orphans_before(self, seq: int | None) -> None:
        for orphan, name in self._held.before(seq):
            self._report(Code.PRIVATE_MISMATCH, orphan, f"{name} is held, and there is no such entry")

    def _erased_of(self, seq: int) -> dict[str, int]:
        """Return the seq of the erasure by name; a row that its record does not bear out counts for nothing."""
        for _ in self._erased.before(seq):
            pass  # of no entry: the erasures' own derivation reports it
        rows = self._erased.at(seq)
        return {name: by for name, (by,) in rows.items() if (seq, name) in self._names_erased_by(by)}

    def _read_names(self, seq: int) -> frozenset[tuple[int, str]]:
        row = self._snapshot.one(
            "select canonical from ledger.records where book = %(book)s and seq = %(seq)s and kind = 'erasure'", seq=seq
        )
        if row is None:
            return frozenset()
        try:
            values = json.loads(row[0])["body"]["values"]
            return frozenset((item["seq"], name) for item in values for name in item["names"])
        except (ValueError, KeyError, TypeError):  # damage is the chain's to report
            return frozenset()

    def _report(self, code: Code, seq: int, detail: str) -> None:
        self._findings.add(code, TABLE, seq, detail)


class _BySeq:
    """Rows that begin with seq and name, walked in order of these; one is held at a time."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def has(self, seq: int) -> bool:
        """Say whether a row of `seq` or of before waits."""
        return self._next is not None and bool(self._next[0] <= seq)

    def before(self, seq: int | None) -> Iterator[tuple[int, str]]:
        """Pass over the rows of before `seq`, of all where it is None."""
        while self._next is not None and (seq is None or self._next[0] < seq):
            yield self._next[0], self._next[1]
            self._next = next(self._rows, None)

    def at(self, seq: int) -> dict[str, tuple[Any, ...]]:
        """Take the rows of `seq`, by name."""
        found = {}
        while self._next is not None and self._next[0] == seq:
            found[self._next[1]] = self._next[2:]
            self._next = next(self._rows, None)
        return found


def _opens(name: str, commitment: str, row: tuple[bytes | None, ...]) -> bool:
    salt, key, sealed = row
    if salt is None or key is None or sealed is None:
        return False
    value = unseal(bytes(sealed), key=bytes(key), name=name)
    return value is not None and opens(commitment, bytes(salt), value)
