"""Card numbers in what comes from outside: masked before a byte is stored.

What a card number is, `ledger_core/journal/cards.py` says. Looked for in free text only: ids and references stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from ledger_core.journal.cards import find_cards, has_long_digits, is_card, mask, mask_cards, may_hold_cards

__all__ = [
    "MAX_CARDS_PER_FILE",
    "cards_of",
    "find_cards",
    "is_card",
    "mask",
    "mask_bytes",
    "mask_cards",
    "may_hold_cards",
]

MAX_CARDS_PER_FILE = 10_000
"""A report with more is no report but a dump of cards, and is refused whole."""

_LONGEST_CHARS = 32


def cards_of(texts: Sequence[str]) -> list[str]:
    """Return the card numbers in the texts of one row; most rows cost one look at all of them together."""
    if not has_long_digits("\n".join(texts)):
        return []
    return [card for text in texts if has_long_digits(text) for card in find_cards(text)]


def mask_bytes(chunks: Iterable[bytes], cards: Collection[str], *, seen: set[str]) -> Iterator[bytes]:
    """Yield `chunks` with every occurrence of `cards` masked, also across the borders of chunks; length stays.

    Those that were met are added to `seen`: a caller must not keep what it could not mask.
    """
    if not cards:
        yield from chunks
        return
    # The longest first: a number that contains another is masked whole.
    wanted = sorted((card.encode() for card in cards), key=lambda card: (-len(card), card))
    pattern = re.compile(b"|".join(map(re.escape, wanted)))

    def masked(match: re.Match[bytes]) -> bytes:
        card = match[0].decode()
        seen.add(card)
        return mask(card).encode()

    held = b""
    for chunk in chunks:
        text = pattern.sub(masked, held + chunk)
        held = text[-_LONGEST_CHARS:]
        yield text[:-_LONGEST_CHARS]
    yield held
