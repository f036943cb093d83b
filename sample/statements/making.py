"""How a file of statements is made, whatever its format: when, how numbered, and what is wrong with a first one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sample.currencies import BANKS, CURRENCIES, Bank
from sample.model import Request, Statement

_MADE_AFTER_HOURS = {"wrong": 20, "right": 20, "corrected": 30, "again": 68}
"""Hours from the day's midnight to the document's own time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a file of statements is made: for whom, how untidily, and whether it is the first of its kind."""

    request: Request
    version: str = "right"
    """`wrong`, `right`, `corrected` (right after a wrong one), or `again`."""

    @property
    def is_unnumbered(self) -> bool:
        return "unnumbered" in self.request.dirt

    def made_at(self, on: date) -> str:
        days, hour = divmod(_MADE_AFTER_HOURS[self.version], 24)
        return f"{on + timedelta(days=days)}T{hour:02}:00:00Z"


def spoilt(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Leave out a line, and count without it: each statement still adds up."""
    for statement in statements:
        yield replace(statement, lines=statement.lines[:-1])


def numbered(bank: Bank, statement: Statement, making: Making) -> tuple[int | None, str]:
    """Return a statement's number and its id."""
    if not making.is_unnumbered:
        own = f"{bank.bic[:4]}-{statement.currency}-{statement.on.year}-{statement.sequence:05}"
        return statement.sequence, own
    held = [profile.code for profile in CURRENCIES if BANKS[profile.bank] == bank]
    if bank.version == "02":
        number = statement.sequence * len(held) + held.index(statement.currency)
        return number, f"{bank.bic[:4]}-{number:05}"
    return None, "STATEMENT"
