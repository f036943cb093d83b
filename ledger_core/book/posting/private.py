"""Whether a repeated request says the same of what is private: asked of the values themselves, never of a hash of them.

A request's fingerprint covers the names of private values alone, so that no hash of a value outlives it. Invariant: an
erased value is held against nobody; what cannot be known is not compared (docs/decisions/0031-erasure.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from ledger_core.book.posting.idempotency import StoredOutcome
from ledger_core.book.posting.requests import Request
from ledger_core.log.commitments import PrivateValue
from ledger_core.reading.private import HeldValue, read_held

Place = tuple[str, str]


def changed_requests(
    conn: Connection[Any], book: str, requests: Sequence[Request], known: Mapping[Place, StoredOutcome]
) -> frozenset[Place]:
    """Return (route, key) of each repeated request whose private values are other than those that are held."""
    if not known:
        return frozenset()
    repeated: dict[int, tuple[Place, Sequence[PrivateValue]]] = {}
    for request in requests:
        if request.key is None:
            continue
        place = (request.route, request.key)
        stored = known.get(place)
        if stored is None:
            continue
        others = {index for index, _, _ in stored.outcome}
        posted = (item for index, item in enumerate(request.items) if index not in others)
        for seq, item in enumerate(posted, start=stored.first_seq):
            if private := getattr(item, "private", ()):
                repeated[seq] = (place, private)
    if not repeated:
        return frozenset()
    held = read_held(conn, book, repeated)
    return frozenset(place for seq, (place, private) in repeated.items() if differ(private, held.get(seq, {})))


def differ(private: Sequence[PrivateValue], held: Mapping[str, HeldValue]) -> bool:
    """Say whether one of `private` is known to be another value than the one that is held under its name."""
    return any(
        (found := held.get(item.name)) is not None and found.value is not None and found.value != item.value
        for item in private
    )
