"""Which evidence a change of keys rests on, gathered for the logs that it concerns; how it is weighed says `good`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ledger_core.ceremony.drafts import COMPROMISE, ROOTS, Wish
from ledger_core.ceremony.good import archived, kept, weigh
from ledger_core.errors import InvalidInput
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.signing.documents import active_key

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def evidence_of(
    runtime: Runtime, ring: KeyRing, wish: Wish, last: Mapping[str, Checkpoint], drop: Callable[[str], None]
) -> dict[str, Checkpoint]:
    """Return by log the largest tree beyond doubt, by what the witness signed `last`; nothing unless a key was
    stolen."""
    if wish.action != COMPROMISE:
        return {}
    known = kept(wish.known, ring)
    if strange := {item.checkpoint.origin for item in known} - last.keys():
        raise InvalidInput(
            f"nothing of {min(strange)} was signed here.", remedy="Give checkpoints of this home's logs."
        )
    vouched = {item.checkpoint.origin for item in known}
    found = [
        item
        for origin in last
        if origin not in vouched
        for item in archived(runtime.archive, ring, origin, before=wish.before)
    ]
    return {origin: item.checkpoint for origin, item in weigh(known, found, last, drop).items()}


def with_key(ring: KeyRing, wish: Wish) -> Wish:
    """Let a wish that names no key mean the one that signs now."""
    active = active_key(ring.keys)
    if wish.action == ROOTS or wish.key is not None or active is None:
        return wish
    return replace(wish, key=active.key.key_id)
