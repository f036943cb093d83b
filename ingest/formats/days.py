"""Days as banks write them in plain text: six digits, the century left to the reader."""

from __future__ import annotations

from datetime import date
from functools import lru_cache


@lru_cache(maxsize=4_096)
def day_of(text: str, *, interest: bool = False) -> str | None:
    """Return a day written YYMMDD as YYYY-MM-DD, None where the calendar lacks it.

    Where banks reckon `interest` by months of thirty days February has thirty: the last of its days is meant.
    """
    if len(text) != 6 or not (text.isascii() and text.isdigit()):
        return None
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    year += 1900 if year >= 70 else 2000
    if interest and month == 2 and day in (29, 30):
        day = 29 if is_day(year, 2, 29) else 28
    return date(year, month, day).isoformat() if is_day(year, month, day) else None


def is_day(year: int, month: int, day: int) -> bool:
    """Tell whether the calendar has the day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
