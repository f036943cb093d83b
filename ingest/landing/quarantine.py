"""Rows that are put aside: what is kept of them, and how many are too many.

What is kept can be read by people: columns that name persons and card numbers are taken out first. The row as it came
lies encrypted with its file, from which it can be parsed again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ingest.contract.cards import MAX_CARDS_PER_FILE, mask_cards
from ingest.contract.rows import MAX_QUARANTINED_ROWS, Fault, QuarantinedRow
from ledger_core.errors import InvalidInput

MAX_RAW_CHARS = 8_192
"""Of a quarantined row; more of it is in the stored file."""

CARD_NUMBER = Fault(code="card_number", reason="a card number stands in free text; it was masked.")


def put_aside(
    *, ordinal: int, line: int, fault: Fault | None, shown: str, original: bytes, cards: Collection[str]
) -> QuarantinedRow:
    """Return the row to quarantine for `fault`, or for the card numbers in it.

    `shown` is its text without persons; `cards` are masked in it. `original` is the row as it came.
    """
    fault = fault or CARD_NUMBER
    reason = fault.reason
    if cards and fault is not CARD_NUMBER:
        reason += " A card number in it was masked."
    masked = mask_cards(shown, cards)
    if len(masked) > MAX_RAW_CHARS:
        masked = f"{masked[:MAX_RAW_CHARS]}... ({len(masked)} characters)"
    return QuarantinedRow(
        ordinal=ordinal,
        line=line,
        code=fault.code,
        reason=reason,
        raw=masked,
        original=original if cards else None,
    )


def refuse_too_many(quarantined: Sequence[QuarantinedRow], *, cards: Collection[str], name: str) -> None:
    """Raise `InvalidInput` once a file has more bad rows, or more card numbers, than make sense to keep."""
    if len(cards) > MAX_CARDS_PER_FILE:
        raise InvalidInput(
            f"more than {MAX_CARDS_PER_FILE} card numbers in free text (MAX_CARDS_PER_FILE); nothing was stored.",
            file=name,
            line=quarantined[-1].line,
            remedy="This is a list of cards and must not be here. Delete the file and tell whoever sent it.",
        )
    if len(quarantined) > MAX_QUARANTINED_ROWS:
        first = quarantined[0]
        raise InvalidInput(
            f"more than {MAX_QUARANTINED_ROWS} rows are unreadable (MAX_QUARANTINED_ROWS); the first: {first.reason}",
            file=name,
            line=first.line,
            remedy="This is another kind of file, or the provider changed it: compare it with its contract.",
        )
