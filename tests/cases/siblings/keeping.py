"""Where siblings are kept: each is a function that makes a company, with the answers that are right of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cases.siblings.conftest import Sibling, Told

SIBLINGS: list[Sibling] = []
EQUAL_EVERYWHERE = 77_777_001
"""An amount that two companies share: by amount and day nobody can tell them apart."""


def sibling(*right: tuple[Told, ...], reasons: tuple[str, ...] = ()) -> Callable[..., Callable[[Any], None]]:
    """Keep a company; `right` are the answers that are right of it, none of them being no break at all."""

    def register(make: Callable[[Any], None]) -> Callable[[Any], None]:
        SIBLINGS.append(Sibling(make.__name__, make, right or ((),), reasons))
        return make

    return register


def paid(case: Any, name: str = "alpha01", net: int = 9680, *, day: int = 0, **more: Any) -> str:
    """One charge with a fee, paid out by itself."""
    case.item(f"{name}x", net + 320, fee=320, day=day, payout=name)
    return case.payout(name, net, day=day + 1, arrives=day + 3, **more)
