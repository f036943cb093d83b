"""What every state-changing request has in common: who, which book, which key, what exactly.

A key stands for one thing to be done. It is never derived from the body: two equal payments may both be meant.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from api.http.bodies import MAX_SMALL_BODY_BYTES, read_json_object
from api.http.problems import ApiProblem
from api.state import state_of
from ledger_core.actor import Actor
from ledger_core.errors import InvalidInput
from ledger_core.journal.cards import find_cards, has_long_digits

MAX_KEY_CHARACTERS = 255
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARACTERS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A state-changing request, read and not yet judged; `body` is without its member `book`."""

    actor: Actor
    book: str
    key: str
    body: dict[str, Any]


async def read_command(
    request: Request,
    actor: Actor,
    *,
    max_bytes: int = MAX_SMALL_BODY_BYTES,
    needs_key: bool = True,
    may_be_empty: bool = False,
) -> Command:
    """Read a request. Raises the 400, 413, 415 or 422 problem that it deserves."""
    key = idempotency_key(request) if needs_key else ""
    body = await read_json_object(request, max_bytes=max_bytes, may_be_empty=may_be_empty)
    return Command(actor=actor, book=take_book(request, body), key=key, body=body)


def idempotency_key(request: Request) -> str:
    """Return the request's key. Raises a 400 problem when it is missing or unusable, a 422 one for a card number."""
    # Blanks around a header's value are none of it (RFC 9110, 5.5), and the server leaves those at its end.
    key = request.headers.get("idempotency-key", "").strip(" \t")
    if not key:
        raise ApiProblem(
            400,
            "idempotency_key_required",
            "The header Idempotency-Key is missing.",
            remedy="Send a value that is new for each thing to be done and the same for each retry of it.",
            places=[{"parameter": "Idempotency-Key", "in": "header", "detail": "is missing"}],
        )
    if _KEY.fullmatch(key) is None:
        raise ApiProblem(
            400,
            "idempotency_key_invalid",
            f"The Idempotency-Key is not 1 to {MAX_KEY_CHARACTERS} visible ASCII characters.",
            places=[{"parameter": "Idempotency-Key", "in": "header", "detail": "is not usable"}],
        )
    if has_long_digits(key) and find_cards(key):
        raise ApiProblem(
            422,
            "idempotency_key_invalid",
            "The Idempotency-Key looks like a card number, which is not kept here.",
            remedy="Make keys up: they stand for a thing to be done, not for a card.",
            places=[{"parameter": "Idempotency-Key", "in": "header", "detail": "looks like a card number"}],
        )
    return key


def take_book(request: Request, body: dict[str, Any]) -> str:
    """Take the member `book` out of `body`; `?book=` says the same or stands alone; else the default book."""
    asked = request.query_params.get("book")
    named = body.pop("book", None)
    if named is None:
        return asked or state_of(request).settings.book
    if not isinstance(named, str) or not named:
        raise InvalidInput("a book is named by a string.", pointer="/book")
    if asked and asked != named:
        raise InvalidInput(f"the body names book {named!r}, the address names {asked!r}.", pointer="/book")
    return named


def fingerprint(route: str, *parts: Any) -> bytes:
    """Return what identifies a request's content: SHA-256 over its parsed form, members in order of their names."""
    encoded = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"%s\0%s" % (route.encode(), encoded)).digest()
