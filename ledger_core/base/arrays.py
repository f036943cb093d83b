"""Arrays as one literal: where psycopg adapts a list of 1,000 value by value, a batch spends 1 ms on it."""

from __future__ import annotations

from collections.abc import Sequence


def numbers_array(numbers: Sequence[int]) -> str:
    """Return the literal of an array of numbers."""
    return "{" + ",".join(map(str, numbers)) + "}"


def texts_array(texts: list[str]) -> str | list[str]:
    """Return the literal of an array of texts, or `texts` for psycopg to adapt where something would need escaping."""
    if not texts:
        return texts
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * (len(texts) - 1):
        return texts
    return f'{{"{joined}"}}'
