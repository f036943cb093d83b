"""Comparison of a table with its re-derivation, both in key order, both directions, in constant memory.

The derivation calls `expect` with each row that must be there; the table's rows come from a server-side cursor in
the same order. Whatever the table holds between two expected keys has no origin in the log, and whatever it lacks was
removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ledger_core.evidence.check.model import Code, Findings

SHOWN_CHARACTERS = 120

Row = tuple[Any, ...]


class Lockstep:
    """One table against its derivation. The first `key_length` columns are the key, and the first of all is the seq."""

    def __init__(
        self,
        rows: Iterator[Row],
        *,
        table: str,
        code: Code,
        columns: Sequence[str],
        key_length: int,
        findings: Findings,
        seq_column: int | None = 0,
    ) -> None:
        self.table = table
        self.compared = 0
        self._rows = rows
        self._code = code
        self._columns = tuple(columns)
        self._key_length = key_length
        self._findings = findings
        self._seq_column = seq_column
        self._stored: Row | None = next(rows, None)

    def expect(self, derived: Row) -> None:
        """Take the next row that the log says must be stored; keys must come in ascending order."""
        self.compared += 1
        if self._stored == derived:
            self._stored = next(self._rows, None)
            return
        key = derived[: self._key_length]
        while self._stored is not None and self._stored[: self._key_length] < key:
            self._unexplained(self._stored)
            self._stored = next(self._rows, None)
        if self._stored is None or self._stored[: self._key_length] != key:
            self._report(derived, f"{self._named(key)} is missing; the log says {self._shown(derived)}")
            return
        if self._stored != derived:
            self._report(derived, f"{self._named(key)}: {self._difference(self._stored, derived)}")
        self._stored = next(self._rows, None)

    def skip(self, first_key: Any) -> None:
        """Pass over stored rows whose first key column is `first_key`: their record is damaged and says nothing."""
        while self._stored is not None and self._stored[0] < first_key:
            self._unexplained(self._stored)
            self._stored = next(self._rows, None)
        while self._stored is not None and self._stored[0] == first_key:
            self._stored = next(self._rows, None)

    def finish(self) -> int:
        """Report what the table holds beyond the derivation; return how many rows were expected."""
        while self._stored is not None:
            self._unexplained(self._stored)
            self._stored = next(self._rows, None)
        return self.compared

    def _unexplained(self, stored: Row) -> None:
        key = self._named(stored[: self._key_length])
        self._report(stored, f"{key} has no origin in the log: {self._shown(stored)}")

    def _report(self, row: Row, detail: str) -> None:
        seq = row[self._seq_column] if self._seq_column is not None else None
        self._findings.add(self._code, self.table, seq, detail)

    def _named(self, key: Row) -> str:
        return " ".join(f"{name} {value}" for name, value in zip(self._columns, key, strict=False))

    def _shown(self, row: Row) -> str:
        rest = zip(self._columns[self._key_length :], row[self._key_length :], strict=True)
        return ", ".join(f"{name} {shown(value)}" for name, value in rest)

    def _difference(self, stored: Row, derived: Row) -> str:
        pairs = zip(self._columns, stored, derived, strict=True)
        return "; ".join(
            f"{name} is {shown(is_)}, the log says {shown(must)}" for name, is_, must in pairs if is_ != must
        )


def shown(value: object) -> str:
    """Return `value` for a person, cut where it is long."""
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
