"""What is read of JSON that somebody wants signed: one object, each name in it once, of bounded depth.

Not what it says (that is the service's to judge). Whatever cannot be read is an `InvalidInput`, whatever it is.
"""

from __future__ import annotations

import json
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.log.note import Checkpoint, decode_hash


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`. Raises `InvalidInput`: also for a name that stands twice, or one too deep."""
    remedy = "Send one JSON object, each name in it once."
    try:
        value = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}.", remedy=remedy) from error
    if not isinstance(value, dict):
        raise InvalidInput("not a JSON object.", remedy=remedy)
    return value


def tree_after(origin: str, manifest: dict[str, Any]) -> Checkpoint:
    """Return the tree at which a segment's manifest ends. Raises `InvalidInput`."""
    pointer, remedy = "/tree/after", "See docs/formats/segment.md."
    try:
        size, root = manifest["tree"]["after"]["size"], manifest["tree"]["after"]["root"]
    except (KeyError, TypeError) as error:
        raise InvalidInput("a manifest says at which tree it ends.", pointer=pointer, remedy=remedy) from error
    if type(size) is not int or size <= 0 or not isinstance(root, str):
        raise InvalidInput("a tree has a size and a root.", pointer=pointer, remedy=remedy)
    return Checkpoint(origin, size, decode_hash(root))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
