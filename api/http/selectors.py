"""Read what `POST /finance/verify` is asked: which records, from which checkpoint on, how deeply."""

from __future__ import annotations

from typing import Any

from ledger_core.errors import InvalidInput

MAX_SELECTED = 1_000
"""Records of one bundle; whoever wants more wants a segment and the offline verifier."""

_MEMBERS = frozenset({"selector", "known_checkpoint", "include_bytes", "deep"})
_SELECTORS = ("entry_ids", "seq_range", "segment")


def parse_verify_request(given: dict[str, Any]) -> dict[str, Any]:
    """Return the request's members, checked. Raises `InvalidInput` with the pointer of the culprit."""
    _refuse_unknown(given, _MEMBERS, "")
    selector = given.get("selector")
    if not isinstance(selector, dict):
        raise InvalidInput("say what to verify in `selector`, an object.", pointer="/selector")
    _refuse_unknown(selector, frozenset(_SELECTORS), "/selector")
    if len(selector) != 1:
        raise InvalidInput(f"a selector has exactly one of {', '.join(_SELECTORS)}.", pointer="/selector")
    note = given.get("known_checkpoint")
    if note is not None and not isinstance(note, str):
        raise InvalidInput("a known checkpoint is a signed note, a string.", pointer="/known_checkpoint")
    return {
        "selector": _selector(selector),
        "known_checkpoint": note,
        "include_bytes": _boolean(given, "include_bytes", True),
        "deep": _boolean(given, "deep", False),
    }


def _selector(selector: dict[str, Any]) -> dict[str, Any]:
    ((name, value),) = selector.items()
    pointer = f"/selector/{name}"
    if name == "entry_ids":
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_SELECTED:
            raise InvalidInput(f"give 1 to {MAX_SELECTED:,} entry ids.", pointer=pointer)
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item:
                raise InvalidInput("an entry id is a string.", pointer=f"{pointer}/{index}")
        return {name: list(dict.fromkeys(value))}
    if name == "segment":
        return {name: _count(value, pointer)}
    if not isinstance(value, dict) or value.keys() != {"first", "next"}:
        raise InvalidInput("a range has `first` and `next`.", pointer=pointer)
    first, following = _count(value["first"], f"{pointer}/first"), _count(value["next"], f"{pointer}/next")
    if not 0 < following - first <= MAX_SELECTED:
        raise InvalidInput(f"a range covers 1 to {MAX_SELECTED:,} records.", pointer=pointer)
    return {name: (first, following)}


def _count(value: object, pointer: str) -> int:
    if type(value) is not int or value < 0:
        raise InvalidInput("a number from 0 on is needed here.", pointer=pointer)
    return value


def _boolean(given: dict[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if type(value) is not bool:
        raise InvalidInput(f"{name} is true or false.", pointer=f"/{name}")
    return value


def _refuse_unknown(given: dict[str, Any], known: frozenset[str], pointer: str) -> None:
    for name in given:
        if name not in known:
            raise InvalidInput(
                f"unknown member {name[:80]!r}.",
                pointer=f"{pointer}/{name[:80]}",
                remedy=f"Known here: {', '.join(sorted(known))}.",
            )
