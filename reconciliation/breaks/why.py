"""Why there is a break, in one sentence made of its evidence: what its class means, then each side as it stands.

For people: programs read the evidence itself. A group of many items is told by its first few, the rest is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger_core.journal.money import decimal_from_minor, is_currency
from reconciliation.breaks.break_classes import break_class

MOST_TOLD = 3
"""A double booking has two entries; beyond three, a sentence is a list."""

_WHERE = {"ledger": "in the ledger", "psp": "at the provider", "payout": "paid out", "bank": "at the bank"}
_NAMES = {
    "ledger": ("external_id", "reference"),
    "psp": ("balance_transaction", "source", "payment_intent", "merchant_reference"),
    "payout": ("payout", "balance_transaction"),
    "bank": ("reference",),
}
"""What a piece of evidence is called by: the first of these that it has."""
_AMOUNTS = {"payout": ("bank_minor", "net_minor"), "bank": ("amount_minor",)}
"""What is compared: of a payout what reaches the bank, where that is another amount."""


def why_of(class_name: str, evidence: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence for a break of `class_name`, without a full stop."""
    found = break_class(class_name)
    is_fee = _differs_by_fee(evidence)
    told = [_told(piece, is_fee=is_fee) for piece in evidence[:MOST_TOLD]]
    if len(evidence) > MOST_TOLD:
        told.append(f"and {len(evidence) - MOST_TOLD:,} more")
    return ": ".join(filter(None, (found.meaning or found.title, ", ".join(filter(None, told)))))


def _differs_by_fee(evidence: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether two sides agree on what was paid and not on what it cost."""
    sides, gross, fees = ({piece.get(name) for piece in evidence} for name in ("side", "gross_minor", "fee_minor"))
    return len(sides) > 1 and len(gross) == 1 and None not in gross and len(fees) > 1


def _told(piece: Mapping[str, Any], *, is_fee: bool) -> str:
    side = str(piece.get("side") or "")
    parts = [_amount(piece, ("fee_minor",) if is_fee else _AMOUNTS.get(side, ("net_minor",)))]
    if is_fee and parts != [""]:
        parts[0] = f"a fee of {parts[0]}"
    parts.append(_WHERE.get(side, side))
    if piece.get("on"):
        parts.append(f"on {piece['on']}")
    name = next((piece[each] for each in _NAMES.get(side, ()) if piece.get(each)), None)
    parts.append(f"({name})" if name else "")
    return " ".join(filter(None, parts))


def _amount(piece: Mapping[str, Any], members: Sequence[str]) -> str:
    minor = next((piece[each] for each in members if piece.get(each) is not None), None)
    currency = piece.get("currency")
    if minor is None or currency is None:
        return ""
    return f"{decimal_from_minor(int(minor), currency) if is_currency(currency) else minor} {currency}"
