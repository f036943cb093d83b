"""Opaque keyset cursors and `Link` headers; there is no OFFSET anywhere.

A cursor holds the position after which the next page begins and a digest of the filters it was made under. It is not
a secret and grants nothing; it is opaque so that the order may change without breaking clients.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request

from api.http.problems import ApiProblem

DEFAULT_PAGE = 50
MAX_PAGE = 500
MAX_NUMBER = 2**63 - 1
MAX_TEXT_CHARACTERS = 512


def encode_cursor(position: str | int, *, filters: Mapping[str, object]) -> str:
    """Return the cursor of the page that begins after `position`."""
    return _spelled(position, _digest(filters))


def decode_cursor(cursor: str | None, *, filters: Mapping[str, object], kind: type) -> str | int | None:
    """Return the position in `cursor`, None for the first page.

    Raises a 422 problem for a cursor that is not ours, or was made for other filters.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, position, digest = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if isinstance(position, str):
            position.encode()  # half a surrogate pair is JSON, and no text that a database could be asked for
    except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError) as error:
        raise bad_cursor("is not one that this API gave out") from error
    if version != 1 or type(position) is not kind or not _is_position(position):
        raise bad_cursor("is not one that this API gave out")
    if digest != _digest(filters):
        raise bad_cursor("was given out for other filters")
    assert isinstance(position, (str, int))
    if cursor != _spelled(position, digest):  # one spelling: base64 and JSON have many for the same
        raise bad_cursor("is not one that this API gave out")
    return position


def _spelled(position: str | int, digest: str) -> str:
    text = json.dumps([1, position, digest], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _is_position(position: str | int) -> bool:
    """Say whether this could be one that was given out: of the database's numbers, or of its texts."""
    if isinstance(position, int):
        return 0 <= position <= MAX_NUMBER
    return "\0" not in position and len(position) <= MAX_TEXT_CHARACTERS


def next_link(request: Request, cursor: str) -> str:
    """Return the `Link` header that leads to the next page under the same filters."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f'<{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'


def _digest(filters: Mapping[str, object]) -> str:
    named = sorted((name, str(value)) for name, value in filters.items() if value is not None)
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:12]


def bad_cursor(why: str) -> ApiProblem:
    """Return the problem of a cursor that `why` says something against."""
    detail = f"The cursor {why}."
    return ApiProblem(
        422,
        "invalid_input",
        detail,
        remedy="Begin again without a cursor.",
        places=[{"parameter": "cursor", "in": "query", "detail": detail}],
    )
