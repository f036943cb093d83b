"""Read what `POST /finance/verify` is asked: which records, from which checkpoint on, how deeply."""

from __future__ import annotations

from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.evidence.proofs.prove import MAX_SELECTED, Period
from ledger_core.journal.entries import parse_timestamp

_MEMBERS = frozenset({"selector", "known_checkpoint", "include_bytes", "deep"})
_SELECTORS = ("entry_ids", "seq_range", "period", "segment")
_PERIODS = {frozenset({f"{name}_from", f"{name}_before"}): f"{name}_at" for name in ("effective", "recorded")}
_FORM_OF_PERIOD = "Give `effective_from` and `effective_before`, or `recorded_from` and `recorded_before`."


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
    if name == "period":
        return {name: _period(value, pointer)}
    if not isinstance(value, dict) or value.keys() != {"first", "next"}:
        raise InvalidInput("a range has `first` and `next`.", pointer=pointer)
    first, following = _count(value["first"], f"{pointer}/first"), _count(value["next"], f"{pointer}/next")
    if not 0 < following - first <= MAX_SELECTED:
        raise InvalidInput(f"a range covers 1 to {MAX_SELECTED:,} records.", pointer=pointer)
    return {name: (first, following)}


def _period(value: object, pointer: str) -> Period:
    if not isinstance(value, dict):
        raise InvalidInput("a period is an object of two times.", pointer=pointer, remedy=_FORM_OF_PERIOD)
    known = frozenset().union(*_PERIODS)
    _refuse_unknown(value, known, pointer)
    time = _PERIODS.get(frozenset(value))
    if time is None:
        raise InvalidInput("a period has two times, of one sort.", pointer=pointer, remedy=_FORM_OF_PERIOD)
    moments = []
    for end in ("from", "before"):
        member = f"{time.removesuffix('_at')}_{end}"
        if not isinstance(value[member], str):
            raise InvalidInput("a time with a zone is needed here.", pointer=f"{pointer}/{member}")
        moments.append(parse_timestamp(value[member], pointer=f"{pointer}/{member}"))
    start, before = moments
    if start >= before:
        raise InvalidInput("a period ends after it begins.", pointer=pointer, remedy="The end itself is not in it.")
    return Period(time=time, start=start, before=before)


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
