"""Small helpers of both readers: rows, sources and amounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from ledger_core.journal.money import Money

DEFAULT_ACCOUNT = "default"


def one(connection: Connection, statement: str, **values: Any) -> Row[Any] | None:
    """Return the one row of `statement`, if there is one."""
    return connection.execute(text(statement), values).one_or_none()


def every(connection: Connection, statement: str, **values: Any) -> Sequence[Row[Any]]:
    """Return the rows of `statement`."""
    return connection.execute(text(statement), values).all()


def source_name(provider: str, account: str) -> str:
    """Return how the page names a provider's account: by the provider alone where there is but one."""
    return provider if account == DEFAULT_ACCOUNT else f"{provider} {account}"


def money_of(minor: Any, currency: str | None) -> Money | None:
    """Return the amount, if there is one."""
    return None if minor is None or currency is None else Money(amount_minor=int(minor), currency=currency)
