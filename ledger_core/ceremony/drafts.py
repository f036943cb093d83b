"""What is asked of the keys, made into the payload of the registry's next version for the roots to sign.

Reads the running proxy or the folder of a stopped one; changes nothing but that a next key is made where none is
waiting. Sizes are those that were signed last, `window` how far the logs may grow until the roots have signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from ledger_core.ceremony.offline import read_public
from ledger_core.errors import InvalidInput, NotFound, Refused
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint, PublicKey
from ledger_core.log.registry import REVOKED, KeyRecord, parse_registry
from ledger_core.signing.documents import (
    Successor,
    active_key,
    compromised,
    find_key,
    next_document,
    revoked,
    rotated,
)

ROTATE, REVOKE, COMPROMISE, ROOTS = "rotate", "revoke", "compromise", "roots"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChange:
    """Which roots come and go, and how many must agree from then on; nothing leaves them as they are."""

    add: Sequence[Path] = ()
    remove: Sequence[str] = ()
    threshold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One change that is asked for: `key` is the key to end, by its id or the beginning of it."""

    action: str
    key: str | None = None
    window: int = 0
    roots: RootChange = RootChange()
    before: datetime | None = None
    """Before the theft: what was archived earlier is evidence."""
    known: Sequence[Path] = ()
    """Checkpoints that somebody kept, as evidence."""


def needs_successor(ring: KeyRing, wish: Wish) -> bool:
    """Say whether another key signs after the change. Raises `NotFound` for a key that is not in the registry."""
    if wish.action == ROOTS:
        return False
    return wish.action == ROTATE or find_key(ring.keys, wish.key or "") is active_key(ring.keys)


def draft(
    ring: KeyRing,
    wish: Wish,
    *,
    sizes: Mapping[str, int],
    below: str,
    successor: Successor | None,
    good: Mapping[str, Checkpoint],
    created_at: str,
) -> bytes:
    """Return the payload of the next version. Raises `Refused` or `InvalidInput` for a change that cannot be made."""
    roots = _roots(ring, wish.roots)
    if wish.action == ROOTS and (tuple(roots), wish.roots.threshold or ring.threshold) == (ring.roots, ring.threshold):
        raise InvalidInput("the roots stay as they are.", remedy="Give --add, --remove or --threshold.")
    return next_document(
        ring,
        _keys(ring, wish, sizes, below, successor, good),
        created_at=created_at,
        roots=roots,
        threshold=wish.roots.threshold,
    )


def lines_of(payload: bytes) -> list[str]:
    """Return what the holders of roots compare by voice before they sign: the draft's hash, and who signs after it."""
    key = active_key(parse_registry(payload).keys)
    signs = "no key signs" if key is None else f"key {key.key.key_id} signs ({key.backend}, {key.assurance})"
    return [f"draft with sha256 {sha256(payload).hexdigest()}", f"{signs} once it is installed"]


def _keys(
    ring: KeyRing,
    wish: Wish,
    sizes: Mapping[str, int],
    below: str,
    successor: Successor | None,
    good: Mapping[str, Checkpoint],
) -> Sequence[KeyRecord]:
    if wish.action == ROOTS:
        return ring.keys
    if wish.action == ROTATE:
        assert successor is not None
        return rotated(ring.keys, successor, sizes, below, window=wish.window)
    key = find_key(ring.keys, wish.key or "")
    if wish.action == COMPROMISE:
        return compromised(ring.keys, key, good, below, successor=successor)
    if successor is None:
        return revoked(ring.keys, key, sizes)
    return rotated(ring.keys, successor, sizes, below, window=wish.window, status=REVOKED)


def _roots(ring: KeyRing, change: RootChange) -> list[PublicKey]:
    roots = list(ring.roots)
    for named in change.remove:
        found = [root for root in roots if len(named) >= 8 and root.key_id.startswith(named.lower())]
        if len(found) != 1:
            raise NotFound(f"no one root is called {named:.80}.", remedy="`counterfoil keys list` shows the roots.")
        roots.remove(found[0])
    for path in change.add:
        key = read_public(path)
        if key.key_id in {root.key_id for root in roots}:
            raise Refused(f"root {key.key_id[:16]} is there already.", file=str(path))
        roots.append(key)
    return roots
