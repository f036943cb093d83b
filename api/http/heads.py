"""What a request's head may say: nothing twice that decides something, and a body that ends where all agree it ends.

Two readers of one head (a balancer and this process, or the parser and a route) must not understand two things: whose
token counts, which idempotency key, how long the body is. The parser refuses most of what contradicts itself; here is
the rest, with a bound on the whole head. Nothing is looked up and nothing is kept: it is asked once a request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple
from urllib.parse import parse_qsl

MAX_HEAD_BYTES = 64 * 1024
SAID_ONCE = frozenset(
    {
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key",
        b"if-match", b"transfer-encoding",
    }
)  # fmt: skip
"""Headers of which a second one contradicts the first, or says it in vain."""
_NO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")


class Objection(NamedTuple):
    """Why a head is refused: the status, code and detail of the problem."""

    status: int
    code: str
    detail: str


def objection_to(url: bytes, headers: Sequence[tuple[bytes, bytes]], http_version: str) -> Objection | None:
    """Return what is wrong with a head that the parser took; names are in lower case."""
    if len(url) + len(b"".join(chain.from_iterable(headers))) > MAX_HEAD_BYTES:
        return Objection(431, "head_too_large", f"The head of a request takes {MAX_HEAD_BYTES:,} bytes.")
    names = [name for name, _ in headers]
    if len(set(names)) < len(names):
        twice = sorted(name.decode("latin-1") for name in SAID_ONCE if names.count(name) > 1)
        if twice:
            return Objection(400, "malformed_request", f"The header {twice[0]} is there more than once.")
    if http_version == "1.1" and b"host" not in names:
        return Objection(400, "malformed_request", "A request of HTTP/1.1 names its host (RFC 9112, 3.2).")
    if b"transfer-encoding" in names:
        coding = headers[names.index(b"transfer-encoding")][1].strip().lower()
        if coding != b"chunked" or http_version != "1.1":
            return Objection(400, "malformed_request", "The only transfer encoding is chunked, in HTTP/1.1.")
    return None


def takes_gzip(given: str) -> bool:
    """Say whether an `Accept-Encoding` names gzip, or everything, and not in order to refuse it (RFC 9110, 12.5.3)."""
    weights: dict[str, bool] = {}
    for part in given.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weights[coding] = not any(_NO_WEIGHT.fullmatch(item) for item in parameters)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def name_said_twice(query: bytes) -> str | None:
    """Return a parameter that a query string holds more than once; of two books, which one was meant?"""
    if b"&" not in query:
        return None
    seen: set[str] = set()
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in seen:
            return name
        seen.add(name)
    return None
