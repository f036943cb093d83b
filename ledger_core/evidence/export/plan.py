"""What an export set out to write: kept in the home from before its first object until the log has its record.

The archive is written to by whoever holds its key, so that it cannot say which half segment in it is ours. This does:
an interrupted night is gone on with under the name that stands here, and a folder that merely looks like one is
nobody's of ours. Where the file is lost, a night begins anew, and what the lost one left is named as foreign.
Invariant: a plan says where to write, never that something was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ledger_core.base.files import write_once
from ledger_core.log.segment import segment_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A segment that is being written."""

    origin: str
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int

    @property
    def folder(self) -> str:
        """Its place in the archive."""
        return segment_folder(self.origin, self.closed_on, self.segment, self.first_seq, self.next_seq)

    def write(self, home: Path, book: str) -> None:
        """Keep it, durably."""
        content = {**asdict(self), "closed_on": self.closed_on.isoformat()}
        write_once(_path(home, book), json.dumps(content).encode(), mode=0o600)


def read_plan(home: Path, book: str) -> Plan | None:
    """Return what is being written of `book`; None where nothing is, or nothing can be read."""
    return _parse(_path(home, book))


def forget_plan(home: Path, book: str) -> None:
    """Take away what has been done."""
    _path(home, book).unlink(missing_ok=True)


def plans_of(home: Path, origin: str) -> Iterator[Plan]:
    """Yield what is being written of the log `origin`."""
    for path in sorted((home / "run").glob("export-*.plan.json")):
        found = _parse(path)
        if found is not None and found.origin == origin:
            yield found


def _parse(path: Path) -> Plan | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        value: dict[str, Any] = json.loads(path.read_bytes())
        numbers = [value[name] for name in ("segment", "first_seq", "next_seq")]
        if not all(type(number) is int and number >= 0 for number in numbers) or type(value["origin"]) is not str:
            return None
        return Plan(
            origin=value["origin"],
            segment=value["segment"],
            closed_on=date.fromisoformat(value["closed_on"]),
            first_seq=value["first_seq"],
            next_seq=value["next_seq"],
        )
    return None


def _path(home: Path, book: str) -> Path:
    return home / "run" / f"export-{book}.plan.json"
