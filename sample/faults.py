"""What goes wrong with a single item where the plan says so, and how the truth names it.

Each fault changes only what the company booked, or books what never was: the provider's payouts still add up. Amounts
of a break are ledger minus provider, a missing side counting zero (docs/DECISIONLOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from sample.currencies import CURRENCIES
from sample.deals import Deal
from sample.dice import Dice, Mint
from sample.model import Entry, PlantedBreak
from sample.plan import Slot
from sample.postings import Naming, named


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What both sides make of a deal: whether the provider reports it, what the company books, what is planted."""

    reported: bool
    entries: tuple[Entry, ...]
    planted: PlantedBreak


def go_wrong(deal: Deal, slot: Slot, booked_at: int, dice: Dice, mint: Mint) -> Outcome:
    """Return `deal` with the slot's fault."""
    name = _name(deal, dice)
    match slot.break_class:
        case "missing_in_ledger":
            return _outcome(slot, deal, key=deal.txn_id, amount_minor=-deal.net_minor)
        case "missing_at_psp":
            entry = deal.booked(at=booked_at, name=name)
            return _outcome(slot, deal, entry, key=name.key, amount_minor=deal.net_minor, reported=False)
        case "amount_mismatch":
            delta = _delta(abs(deal.gross_minor) // 10, dice)
            entry = deal.booked(at=booked_at, name=name, gross_minor=deal.gross_minor + delta)
            return _outcome(slot, deal, entry, key=deal.txn_id, amount_minor=delta)
        case "fee_mismatch":
            return _wrong_fee(deal, slot, booked_at, name, dice)
        case "currency_mismatch":
            # The API's minor units booked under another currency's code.
            entry = deal.booked(at=booked_at, name=name, currency=_other_currency(deal.currency, slot.serial))
            return _outcome(slot, deal, entry, key=deal.txn_id, amount_minor=-deal.net_minor)
        case _:
            again = named(deal.channel.provider, mint.id("evt"), reference=name.reference)
            entries = (
                deal.booked(at=booked_at, name=name),
                deal.booked(at=booked_at + dice.between(60, 600), name=again),
            )
            return _outcome(slot, deal, *entries, key=name.key, amount_minor=deal.net_minor)


def _wrong_fee(deal: Deal, slot: Slot, booked_at: int, name: Naming, dice: Dice) -> Outcome:
    """Book another fee, or none: the price as if all of it were received, or what was received as the price."""
    delta = -deal.fee_minor if slot.serial % 3 else _delta(deal.fee_minor // 3, dice)
    gross_minor = deal.net_minor if slot.serial % 3 == 2 else deal.gross_minor
    entry = deal.booked(at=booked_at, name=name, gross_minor=gross_minor, fee_minor=deal.fee_minor + delta)
    return _outcome(slot, deal, entry, key=deal.txn_id, amount_minor=delta)


def _outcome(slot: Slot, deal: Deal, *entries: Entry, key: str, amount_minor: int, reported: bool = True) -> Outcome:
    planted = PlantedBreak(
        break_class=slot.break_class, leg="A", key=key, currency=deal.currency, amount_minor=amount_minor
    )
    return Outcome(reported=reported, entries=entries, planted=planted)


def _name(deal: Deal, dice: Dice) -> Naming:
    draw = dice.unit()
    if draw < 0.65:
        return deal.named(deal.main_id)
    if draw < 0.85 or deal.category != "charge":
        return deal.named(deal.source_id)
    return deal.named(deal.payment_intent_id)


def _delta(limit: int, dice: Dice) -> int:
    size = dice.between(1, max(1, limit))
    return size if dice.chance(0.5) else -size


def _other_currency(currency: str, serial: int) -> str:
    codes = [profile.code for profile in CURRENCIES if profile.code != currency]
    return codes[serial // len(CURRENCIES) % len(codes)]
