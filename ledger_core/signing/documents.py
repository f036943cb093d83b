"""The next version of the key registry, as what changes between two documents: pure, and signed by nobody yet.

Four changes: another key signs from here on (`rotated`), a key is ended (`revoked`), a key was stolen (`compromised`),
the roots change. Sizes are those that were signed last. Invariants: a key that has ended never counts by its signature
alone where it did not before; every key that was ever listed stays; one key at most is active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ledger_core.errors import InvalidInput, NotFound, Refused
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint, PublicKey
from ledger_core.log.registry import (
    ACTIVE,
    CHECKPOINT_PURPOSE,
    COMPROMISED,
    DSSE_PURPOSE,
    RETIRED,
    REVOKED,
    KeyRecord,
    Validity,
    registry_payload,
)

MIN_PREFIX = 8
"""Hexadecimal digits by which a key may be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """The key that is to sign from now on, as its back-end describes it."""

    key: PublicKey
    backend: str
    assurance: str


def find_key(keys: Sequence[KeyRecord], named: str) -> KeyRecord:
    """Return the key whose id is `named` or begins so. Raises `NotFound`, and `InvalidInput` for too short a name."""
    if len(named) < MIN_PREFIX:
        raise InvalidInput(f"{named!r:.80} is too short for a key.", remedy=f"Give {MIN_PREFIX} digits of its id.")
    found = [item for item in keys if item.key.key_id.startswith(named.lower())]
    if len(found) != 1:
        raise NotFound(
            f"{'several keys are' if found else 'no key is'} called {named:.80}.", remedy="`counterfoil keys list`."
        )
    return found[0]


def active_key(keys: Sequence[KeyRecord]) -> KeyRecord | None:
    """Return the key that signs now, None when it was ended without another."""
    found = [item for item in keys if item.status == ACTIVE]
    if len(found) > 1:
        raise Refused("two keys are active in the registry.", remedy="It was not made by this software: compare.")
    return found[0] if found else None


def rotated(
    keys: Sequence[KeyRecord],
    successor: Successor,
    sizes: Mapping[str, int],
    below: str,
    *,
    window: int = 0,
    status: str = RETIRED,
) -> list[KeyRecord]:
    """Return `keys` with the active one ended at `sizes` (log to size signed last) and `successor` from there on.

    `below` is the wildcard under which logs may still be opened. `window` is by how many records the logs in `sizes`
    may have grown when the roots' signatures are there: so far the old key stays valid in those.
    """
    old = active_key(keys)
    if any(item.key.key_id == successor.key.key_id for item in keys):
        raise Refused("the new key was in the registry before.", remedy="Make a new one: a key is used for once.")
    ended = [
        ended_at(item, sizes, status=status, window=window) if old is not None and item is old else item
        for item in keys
    ]
    return [*ended, _fresh(successor, sizes, below)]


def revoked(keys: Sequence[KeyRecord], key: KeyRecord, sizes: Mapping[str, int]) -> list[KeyRecord]:
    """Return `keys` with one that does not sign any more ended for good, at what it signed last."""
    if key.status in (COMPROMISED, REVOKED):
        raise Refused(f"key {key.key.key_id[:16]} is {key.status} already.")
    return [ended_at(item, sizes, status=REVOKED) if item is key else item for item in keys]


def compromised(
    keys: Sequence[KeyRecord],
    key: KeyRecord,
    good: Mapping[str, Checkpoint],
    below: str,
    *,
    successor: Successor | None,
) -> list[KeyRecord]:
    """Return `keys` with `key` stolen: it counts in the trees `good` (by log) alone; `successor` counts from them on.

    A log of which no tree is beyond doubt is left to the successor from its first record on.
    """
    if key.is_compromised:
        raise Refused(f"key {key.key.key_id[:16]} is compromised already.")
    if key.status == ACTIVE and successor is None:
        raise Refused("the key that signs now is compromised, and no other is named.", remedy="Give its successor.")
    valid = []
    for origin, tree in sorted(good.items()):
        before = [part for part in key.ranges(origin) if part.from_size <= tree.size]
        if before:
            first = min(part.from_size for part in before)
            valid.append(Validity(origin=origin, from_size=first, to_size=tree.size, root=tree.root))
    stolen = replace(key, status=COMPROMISED, valid=tuple(valid))
    made = [stolen if item is key else item for item in keys]
    if successor is None:
        return made
    if any(item.key.key_id == successor.key.key_id for item in keys):
        raise Refused("the new key was in the registry before.", remedy="Make a new one: a key is used for once.")
    return [*made, _fresh(successor, {origin: tree.size for origin, tree in good.items()}, below)]


def ended_at(key: KeyRecord, sizes: Mapping[str, int], *, status: str, window: int = 0) -> KeyRecord:
    """Return `key` valid for no more than `sizes` and `window` records beyond, and for no log that is opened later.

    Raises `Refused` for a log that it may sign on and of which nobody knows how far it was signed.
    """
    exact = [part for part in key.valid if not part.origin.endswith("/*")]
    unknown = sorted(part.origin for part in exact if part.to_size is None and part.origin not in sizes)
    if unknown:
        raise Refused(
            f"the proxy does not remember {unknown[0]}, of which key {key.key.key_id[:16]} has signed.",
            remedy="Give it its memory back first: docs/runbooks/signing-state.md.",
        )
    valid = [part for part in exact if part.origin not in sizes]
    for origin, size in sorted(sizes.items()):
        for part in key.ranges(origin):
            last = size + window if part.to_size is None else min(part.to_size, size + window)
            if part.from_size <= last:
                valid.append(replace(part, origin=origin, to_size=last))
    # No wildcard is left, whatever the window: whoever has the old key would sign the first records of a log that is
    # opened years later. A log that is opened before the roots have signed makes the draft expire (`ceremony.install`).
    return replace(key, status=status, valid=tuple(valid))


def next_document(
    ring: KeyRing,
    keys: Sequence[KeyRecord],
    *,
    created_at: str,
    roots: Sequence[PublicKey] | None = None,
    threshold: int | None = None,
) -> bytes:
    """Return the payload of the version after `ring`'s. Raises `InvalidInput` for roots that cannot agree."""
    following = tuple(ring.roots if roots is None else roots)
    needed = ring.threshold if threshold is None else threshold
    if len({key.key_id for key in following}) != len(following) or not 1 <= needed <= len(following):
        raise InvalidInput(
            f"{needed} of {len(following)} roots cannot agree.", remedy="A threshold is 1 to the number of roots."
        )
    return registry_payload(
        version=ring.version + 1,
        previous_sha256=ring.sha256,
        roots=following,
        threshold=needed,
        keys=keys,
        created_at=created_at,
    )


def _fresh(successor: Successor, sizes: Mapping[str, int], below: str) -> KeyRecord:
    ranges = [Validity(origin=origin, from_size=size, to_size=None) for origin, size in sorted(sizes.items())]
    return KeyRecord(
        key=successor.key,
        backend=successor.backend,
        assurance=successor.assurance,
        status=ACTIVE,
        purposes=(CHECKPOINT_PURPOSE, DSSE_PURPOSE),
        valid=(*ranges, Validity(origin=below, from_size=0, to_size=None)),
    )
