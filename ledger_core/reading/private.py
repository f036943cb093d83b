"""Private values of entries: those that are held, and which erasure record says that others are not.

The only reader of the side table outside the write path and the check. Invariant: what is returned as a value opens
the commitment in its record; a value that does not is an error, never an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, Engine

from ledger_core.errors import CounterfoilError, IntegrityError
from ledger_core.journal.entries import RecordedEntry
from ledger_core.log.commitments import opens, unseal


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldValue:
    """A row of the side table; `value` is None where key and sealed bytes do not fit."""

    salt: bytes = field(repr=False)
    value: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePart:
    """What is known of one entry's private values; `erased` has the seq of the erasure by name.

    `values` and `not_held` are None for who may not read them. `withheld` says by an error's code why no value is read
    now: of a book that is behind nobody knows what else was erased.
    """

    erased: Mapping[str, int]
    values: Mapping[str, str] | None = field(default=None, repr=False)
    not_held: Sequence[str] | None = None
    withheld: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the members that stand beside an entry's `commitments`."""
        wire: dict[str, Any] = {"erased": dict(sorted(self.erased.items()))}
        if self.values is not None:
            wire |= {"private": dict(sorted(self.values.items())), "not_held": list(self.not_held or ())}
        if self.withheld is not None:
            wire["withheld"] = self.withheld
        return wire


class ValuesSource(Protocol):
    """What reading private values needs of `ledger_core.runtime.Runtime`."""

    @property
    def engine(self) -> Engine: ...

    def withheld(self, book: str) -> CounterfoilError | None:
        """Return why nothing that may have been erased of `book` is shown now, None where it may be."""
        ...


def read_held(conn: psycopg.Connection[Any], book: str, seqs: Collection[int]) -> dict[int, dict[str, HeldValue]]:
    """Return the rows of the entries at `seqs`, by seq and name."""
    rows = conn.execute(
        "select seq, name, key.salt, key.key, value.sealed from ledger.private_keys as key "
        "inner join ledger.private_values as value using (book, seq, name) where book = %s and seq = any(%s)",
        [book, list(seqs)],
    )
    found: dict[int, dict[str, HeldValue]] = {}
    for seq, name, salt, key, sealed in rows:
        value = unseal(bytes(sealed), key=bytes(key), name=name)
        found.setdefault(seq, {})[name] = HeldValue(salt=bytes(salt), value=value)
    return found


def read_erased(conn: psycopg.Connection[Any], book: str, seqs: Collection[int]) -> dict[int, dict[str, int]]:
    """Return, by seq of an entry and name of a value, the seq of the record that erased it."""
    rows = conn.execute(
        "select entry_seq, name, seq from ledger.erased_values where book = %s and entry_seq = any(%s)",
        [book, list(seqs)],
    )
    found: dict[int, dict[str, int]] = {}
    for entry_seq, name, seq in rows:
        found.setdefault(entry_seq, {})[name] = seq
    return found


def private_parts(
    conn: Connection, book: str, entries: Sequence[RecordedEntry], *, values: ValuesSource | None = None
) -> dict[int, PrivatePart]:
    """Return, by seq, what is known of the private values of those of `entries` that have any.

    The values themselves are read through the engine of `values`, of a login that may; without it they are left alone.
    Raises `IntegrityError` for one that does not open its commitment.
    """
    having = {entry.seq: entry for entry in entries if entry.commitments}
    if not having:
        return {}
    erased = read_erased(_driver(conn), book, having)
    if values is None:
        return {seq: PrivatePart(erased=erased.get(seq, {})) for seq in having}
    if (why := values.withheld(book)) is not None:
        return {seq: _closed(entry, erased.get(seq, {}), why) for seq, entry in having.items()}
    with values.engine.connect() as unlocked:
        held = read_held(_driver(unlocked), book, having)
        # Asked after the values, and past the snapshot of `conn`: what was erased meanwhile is erased, not lost.
        erased = read_erased(_driver(unlocked), book, having)
    return {seq: _opened(entry, held.get(seq, {}), erased.get(seq, {})) for seq, entry in having.items()}


def _closed(entry: RecordedEntry, erased: Mapping[str, int], why: CounterfoilError) -> PrivatePart:
    not_held = [name for name in entry.commitments if name not in erased]
    return PrivatePart(erased=erased, values={}, not_held=not_held, withheld=why.code)


def _opened(entry: RecordedEntry, held: Mapping[str, HeldValue], erased: Mapping[str, int]) -> PrivatePart:
    values: dict[str, str] = {}
    for name, commitment in entry.commitments.items():
        item = held.get(name)
        if item is None or name in erased:
            continue
        if item.value is None or not opens(commitment, item.salt, item.value):
            raise IntegrityError(
                f"the private value {name} of entry {entry.id} is not the one that its record commits to.",
                remedy="Run `counterfoil check`; see docs/runbooks/failed-check.md.",
                seq=entry.seq,
            )
        values[name] = item.value
    not_held = [name for name in entry.commitments if name not in values and name not in erased]
    return PrivatePart(erased=erased, values=values, not_held=not_held)


def _driver(conn: Connection) -> Any:
    return conn.connection.driver_connection
