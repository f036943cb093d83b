"""What a landing is asked for: an account at a provider, an interval. Checked before anything lands."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

from ledger_core.errors import InvalidInput
from ledger_core.journal.text import shown

Interval = tuple[date | None, date | None]
"""The first and the last day that the provider was asked for, both included; None where nobody says."""

_ACCOUNT = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def checked_account(account: str) -> str:
    """Return `account`. Raises `InvalidInput` for what cannot name one."""
    if _ACCOUNT.fullmatch(account) is None:
        raise InvalidInput(
            f"{shown(account)} cannot name an account at a provider (`--account`).",
            remedy="Use 1 to 64 letters, digits, '_', '.', ':' or '-', such as acct_1Abc.",
        )
    return account


def checked_interval(interval: Interval, *, clock: Callable[[], datetime]) -> Interval:
    """Return `interval`. Raises `InvalidInput` for one that ends before it begins, or has not ended."""
    first_on, last_on = interval
    if first_on is not None and last_on is not None and first_on > last_on:
        raise InvalidInput(
            f"the interval ends on {last_on}, before it begins on {first_on} (`--from`, `--to`).",
            remedy="Name the first and the last day of the report, both included.",
        )
    if (late := max((day for day in interval if day), default=None)) and late > clock().astimezone(UTC).date():
        raise InvalidInput(
            f"{late} has not come, and no report speaks of it (`--from`, `--to`).",
            remedy="Name the first and the last day that the provider was asked for.",
        )
    return interval
