"""The match rate, said once: what matched and agrees, over that and the breaks, rounded down.

What is pending has no place here, not even as an argument: an item inside its grace says nothing about how well
matching works. Rounding down means that all is said of all alone, and never of all but one.
"""

from __future__ import annotations

DECIMALS = 6


def items_due(*, matched: int, breaks: int) -> int:
    """Return how many items were due: the rate's denominator."""
    return matched + breaks


def rate_in(parts: int, *, matched: int, breaks: int) -> int | None:
    """Return the rate in `parts` of one (10,000 for basis points), rounded down; None when nothing was due."""
    due = items_due(matched=matched, breaks=breaks)
    return matched * parts // due if due else None


def decimal_rate(*, matched: int, breaks: int) -> str:
    """Return the rate with six decimals; 1 for nothing out of nothing."""
    one = 10**DECIMALS
    scaled = rate_in(one, matched=matched, breaks=breaks)
    whole, fraction = divmod(one if scaled is None else scaled, one)
    return f"{whole}.{fraction:0{DECIMALS}d}"
