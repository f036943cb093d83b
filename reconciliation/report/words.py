"""What the page calls things: verdicts, legs and classes in a reader's words."""

from __future__ import annotations

VERDICTS = {
    "reconciled": "Reconciled",
    "reconciled_with_pending": "Reconciled, with pending",
    "breaks": "Breaks",
    "incomplete": "Incomplete input",
}
LEGS = {"A": "A · ledger to provider", "B": "B · provider to bank"}
MARKS = {"met": "●", "differs": "◐", "missing": "○", "waiting": "◌", "unknown": "·"}
BUCKET_UNIT = "days"

CLASSES: dict[str, tuple[str, str]] = {
    "missing_in_ledger": ("Missing in the ledger", "the provider has it, the books do not"),
    "missing_at_psp": ("Missing at the provider", "the books have it, the provider does not"),
    "amount_mismatch": ("Amount differs", "same item, another amount"),
    "fee_mismatch": ("Fee differs", "the fee charged is not the fee booked"),
    "currency_mismatch": ("Currency differs", "same item, another currency"),
    "duplicate_ledger": ("Booked twice", "one item, more than one entry"),
    "duplicate_psp": ("Reported twice", "one item, more than one row of the provider"),
    "payout_missing_at_bank": ("Payout missing at the bank", "paid out, never arrived"),
    "unexpected_bank_credit": ("Unexpected bank credit", "arrived, never paid out"),
    "batch_sum_mismatch": ("Batch does not add up", "a payout is not the sum of its items"),
    "ambiguous": ("Ambiguous", "more than one candidate is as good"),
    "unclassified_type": ("Unknown type", "a provider's type that no rule knows"),
    "fx_rounding": ("Rounding of a conversion", "within a minor unit a leg"),
    "fx_difference": ("Exchange difference", "beyond rounding"),
    "payout_returned": ("Payout returned", "came back from the bank"),
    "orphan_reversal": ("Reversal without original", "of an item settled already"),
}

CHANGES = {
    "opened": "Opened",
    "reopened": "Opened again",
    "closed": "Closed",
    "reclassified": "Now of another class",
    "changed": "Amount changed",
}


def class_words(name: str) -> str:
    """Return the class in words; a class unknown here reads as its own name."""
    return CLASSES[name][0] if name in CLASSES else name.replace("_", " ").capitalize()


def class_meaning(name: str) -> str:
    """Return what the class means in a few words."""
    return CLASSES[name][1] if name in CLASSES else ""
