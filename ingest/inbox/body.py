"""Bodies of deliveries as JSON: read once, after the signature over the bytes was checked.

Not the strict reader of our own API: providers send fractions. They are read as `Decimal`, and no amount is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from ingest.inbox.port import MAX_ID_CHARACTERS
from ledger_core.errors import DeliveryRefused
from ledger_core.journal.text import text_fault

MAX_DEPTH = 64
_MAX_DIGITS = 18
"""Of a whole number that is read as one; a longer one is no amount, and is kept as it came."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`. Raises `DeliveryRefused`."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_int=_whole,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_once,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise malformed("the body is no JSON that says each thing once.") from error
    if not isinstance(value, dict):
        raise malformed("the body is no JSON object.")
    _check(value, 0)
    return value


def text_at(value: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    """Return the short text at `name`. Raises `DeliveryRefused` naming it."""
    found = value.get(name, "" if may_be_empty else None)
    if not isinstance(found, str) or not (found or may_be_empty) or len(found) > MAX_ID_CHARACTERS or text_fault(found):
        raise malformed(f"the body needs `{name}`, a text of at most {MAX_ID_CHARACTERS} characters.")
    return found


def id_at(value: object, name: str, default: str) -> str:
    """Return the id at `name` of what may be an object, or `default` where it has none that can be kept."""
    found = value.get(name) if isinstance(value, Mapping) else None
    usable = isinstance(found, str) and 0 < len(found) <= MAX_ID_CHARACTERS and not text_fault(found)
    return found if usable and isinstance(found, str) else default


def malformed(message: str) -> DeliveryRefused:
    """Return the refusal of a body whose signature holds and whose shape does not."""
    return DeliveryRefused(message, reason="malformed")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check(value: object, depth: int) -> None:
    """Raise unless `value` can be written again: no lone surrogate in a text, and no deeper than anybody needs."""
    if depth > MAX_DEPTH:
        raise malformed(f"the body is nested more than {MAX_DEPTH} deep.")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise malformed("the body holds half of a character.")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check(name, depth)
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_DIGITS else Decimal(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
