"""Breaks as people and programs read them: the work queue, and one break with its evidence.

Read only. Amounts leave as digit strings, signed; age counts to the day of the book's last merged run, never to today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from ledger_core.errors import InvalidInput, NotFound
from reconciliation.breaks.break_classes import break_classes
from reconciliation.breaks.why import why_of

STATUSES = ("open", "closed")
LEGS = ("A", "B")
MIN_PREFIX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One break as it stands; amounts in minor units of `currency`, None for a side that is missing."""

    break_id: str
    break_class: str
    leg: str
    key: str
    keys: tuple[str, ...]
    currency: str
    amount_minor: int
    ledger_amount_minor: int | None
    psp_amount_minor: int | None
    bank_amount_minor: int | None
    priority: str
    status: str
    opened_on: date
    age_days: int
    grace_until: date | None
    assignee: str | None
    run_id: str
    evidence: tuple[Mapping[str, Any], ...]
    provider: str
    account: str
    closed_on: date | None
    resolution: str | None

    @property
    def why(self) -> str:
        """One sentence made of the evidence."""
        return why_of(self.break_class, self.evidence)

    def as_json(self) -> dict[str, Any]:
        """Return what `breaks list --json` prints for one break."""
        return {
            "break_id": self.break_id,
            "class": self.break_class,
            "leg": self.leg,
            "key": self.key,
            "keys": list(self.keys),
            "currency": self.currency,
            "amount_minor": str(self.amount_minor),
            "ledger_amount_minor": _digits(self.ledger_amount_minor),
            "psp_amount_minor": _digits(self.psp_amount_minor),
            "bank_amount_minor": _digits(self.bank_amount_minor),
            "priority": self.priority,
            "status": self.status,
            "opened_on": self.opened_on.isoformat(),
            "age_days": self.age_days,
            "grace_until": self.grace_until.isoformat() if self.grace_until else None,
            "assignee": self.assignee,
            "run_id": self.run_id,
            "evidence": [dict(item) for item in self.evidence],
            "provider": self.provider,
            "account": self.account,
            "closed_on": self.closed_on.isoformat() if self.closed_on else None,
            "resolution": self.resolution,
            "why": self.why,
        }


def list_breaks(
    connection: Connection,
    book: str,
    *,
    status: str | None = "open",
    break_class: str | None = None,
    leg: str | None = None,
    closed_from: date | None = None,
    limit: int | None = None,
) -> list[Break]:
    """Return the breaks of `book`, the most pressing first, `limit` at most; None for a filter means all.

    Raises `InvalidInput` for a status, a leg or a class that does not exist.
    """
    wanted = _wanted(book, status, break_class, leg, closed_from)
    found = [_break(row) for row in connection.execute(text(_LIST), {**wanted, "most": limit}).mappings()]
    # One that the rules do not know any more may still be in the queue.
    if not found and break_class is not None:
        _require("class", break_class, tuple(break_classes()))
    return found


def count_breaks(
    connection: Connection,
    book: str,
    *,
    status: str | None = "open",
    break_class: str | None = None,
    leg: str | None = None,
    closed_from: date | None = None,
) -> int:
    """Return how many breaks `list_breaks` would return without a limit."""
    wanted = _wanted(book, status, break_class, leg, closed_from)
    return int(connection.execute(text(_COUNT), {**wanted, "most": None}).scalar_one())


def _wanted(
    book: str, status: str | None, break_class: str | None, leg: str | None, closed_from: date | None
) -> dict[str, Any]:
    _require("status", status, STATUSES)
    _require("leg", leg, LEGS)
    return {"book": book, "status": status, "class": break_class, "leg": leg, "from": closed_from}


def _require(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise InvalidInput(f"there is no {name} {value!r}.", remedy=f"Use one of: {', '.join(known)}.")


def find_break(connection: Connection, book: str, break_id: str) -> Break:
    """Return the break whose id is, or begins with, `break_id`.

    Raises `NotFound` when there is none, `InvalidInput` when the beginning fits several or is too short.
    """
    wanted = break_id.strip().lower()
    if len(wanted) < MIN_PREFIX or not all(sign in "0123456789abcdef" for sign in wanted):
        raise InvalidInput(
            f"{break_id!r} is no break id.", remedy=f"Give at least {MIN_PREFIX} of its hexadecimal digits."
        )
    rows = connection.execute(text(_ONE), {"book": book, "prefix": wanted}).mappings().all()
    if not rows:
        raise NotFound(f"book {book} has no break {break_id}.", remedy="See `counterfoil breaks list`.")
    if len(rows) > 1:
        raise InvalidInput(f"{break_id} is the beginning of several breaks.", remedy="Give more of the id.")
    return _break(rows[0])


def _break(row: RowMapping) -> Break:
    return Break(
        break_id=row["break_id"],
        break_class=row["class"],
        leg=row["leg"],
        key=row["key"],
        keys=tuple(row["keys"]),
        currency=row["currency"],
        amount_minor=int(row["amount_minor"]),
        ledger_amount_minor=_whole(row["ledger_amount_minor"]),
        psp_amount_minor=_whole(row["psp_amount_minor"]),
        bank_amount_minor=_whole(row["bank_amount_minor"]),
        priority=row["priority"],
        status=row["status"],
        opened_on=row["opened_on"],
        age_days=row["age_days"],
        grace_until=row["grace_until"],
        assignee=row["assignee"],
        run_id=row["run_id"],
        evidence=tuple(row["evidence"]),
        provider=row["provider"],
        account=row["account"],
        closed_on=row["closed_on"],
        resolution=row["resolution"],
    )


def _whole(amount: Any) -> int | None:
    return None if amount is None else int(amount)


def _digits(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


_COLUMNS = """
select
    breaks.*,
    greatest(coalesce(breaks.closed_on, clock.as_of, breaks.as_of) - breaks.opened_on, 0) as age_days
from recon.breaks as breaks
cross join (select max(as_of) as as_of from recon.runs where book = :book and merged) as clock
where breaks.book = :book
"""

_LIST = (
    _COLUMNS
    + """
    and (cast(:status as text) is null or breaks.status = :status)
    and (cast(:class as text) is null or breaks.class = :class)
    and (cast(:leg as text) is null or breaks.leg = :leg)
    and (cast(:from as date) is null or breaks.closed_on >= :from)
order by breaks.priority, breaks.opened_on, breaks.leg, breaks.key, breaks.break_id
limit :most
"""
)

_COUNT = f"select count(*) from ({_LIST}) as listed"  # noqa: S608

_ONE = _COLUMNS + " and starts_with(breaks.break_id, :prefix) limit 2"
