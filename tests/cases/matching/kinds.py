"""Where kinds are kept: each is a function that makes a company, with the breaks that are right of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Told = tuple[str, str, int]
"""Class, leg and amount of a break."""


@dataclass(frozen=True)
class Kind:
    """How a company is made, and the breaks that are right of it; amounts `None` where only the class counts."""

    name: str
    make: Callable[[Any], None]
    right: Callable[[Any], list[tuple[str, str, int | None]]]


KINDS: list[Kind] = []


def kind(*right: tuple[str, str, int | None]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def register(make: Callable[[Any], None]) -> Callable[[Any], None]:
        KINDS.append(Kind(make.__name__, make, lambda _case: list(right)))
        return make

    return register


def sale_and_payout(case: Any, name: str = "alpha01", net: int = 9680, *, day: int = 0) -> str:
    """One charge with a fee, paid out by itself."""
    case.item(f"{name}x", net + 320, fee=320, day=day, payout=name)
    return case.payout(name, net, day=day + 1, arrives=day + 3)


def beside(case: Any) -> None:
    """Another payout, above zero: with it a report shows which sign it gives to payouts."""
    case.line(4825, f"STRIPE {sale_and_payout(case, 'beside1', 4825)}", day=3)
