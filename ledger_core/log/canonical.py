"""Canonical bytes: profile cf-jcs/1, a strict subset of RFC 8785 in which one value has one form.

The profile allows objects with keys `[a-z0-9_]{1,64}`, arrays, strings in Unicode NFC without U+0000 and lone
surrogates, integers within +-(2^53 - 1), booleans and null; never a float. Inside it, `orjson` with sorted
keys writes the bytes of RFC 8785 at forty times the speed of a general library (a property test holds the two
together); outside it does not, so the guard always runs first. Money is a string of digits and never meets a
JSON number.

Not here: what a record must contain (`record.py`, `shapes.py`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

from ledger_core.errors import NotCanonical

try:
    import orjson
except ModuleNotFoundError:  # pragma: no cover - the verifier runs without it, slower
    orjson = None  # type: ignore[assignment]

PROFILE = "cf-jcs/1"
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
MAX_KEY_LENGTH = 64

_KEYS = re.compile(r"[a-z0-9_]{1,64}(?:\n[a-z0-9_]{1,64})*\Z")
_KEY = re.compile(r"[a-z0-9_]{1,64}\Z")


def canonical_bytes(value: Any) -> bytes:
    """Return the one canonical form of `value` (RFC 8785 under the profile).

    Raises `NotCanonical`, with the JSON pointer of the first culprit, for a value outside the profile.
    """
    try:
        data = _dump(value)
        if _is_in_profile(value, data):
            return data
    except (TypeError, ValueError, RecursionError):
        pass  # what it was that cannot be written is told below
    _explain(value, "", 0)
    raise NotCanonical("the value has no canonical form.", remedy=_REMEDY)


def parse_strict(data: bytes) -> Any:
    """Return the value whose canonical form is exactly `data`.

    Raises `NotCanonical` for anything else: other white space, key order or escapes, duplicate keys, floats,
    bad UTF-8.
    """
    try:
        value = _load(data)
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"not JSON in UTF-8: {error}.", remedy=_REMEDY) from error
    if canonical_bytes(value) != data:
        raise NotCanonical("valid JSON, but not in its canonical form.", remedy=_REMEDY)
    return value


def _is_in_profile(value: Any, data: bytes) -> bool:
    """Say whether `value`, whose serialised form is `data`, lies in the profile.

    Bytes that are all ASCII and hold no `\\u0000` settle every string at once, without a look at each.
    """
    if not _has_clean_types(value, 0):
        return False
    return (data.isascii() and b"\\u0000" not in data) or _has_clean_texts(value)


_REMEDY = f"Canonical form is RFC 8785 under profile {PROFILE}; see docs/formats/record.md."


def _has_clean_types(value: Any, depth: int) -> bool:
    """Say whether types, keys and integers of `value` lie in the profile. Says not why: a pointer costs time."""
    kind = type(value)
    if kind is dict:
        if value and not _keys_are_clean("\n".join(value), len(value)):
            return False
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return _is_clean_scalar(value)
    if depth >= MAX_DEPTH:
        return False
    return not any(type(item) is not str and not _has_clean_types(item, depth + 1) for item in items)


@lru_cache(maxsize=1024)
def _keys_are_clean(joined: str, count: int) -> bool:
    """Say whether the `count` keys that `joined` lists are allowed; the same few sets of keys come again and again.

    A key with a newline in it cannot pass as two, because the lines must be as many as the keys.
    """
    return joined.count("\n") == count - 1 and _KEYS.match(joined) is not None


def _is_clean_scalar(value: Any) -> bool:
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER
    return type(value) is str or type(value) is bool or value is None


def _has_clean_texts(value: Any) -> bool:
    """Say whether every string in `value` is NFC and free of U+0000; called for the few values that need it."""
    if type(value) is str:
        return "\0" not in value and unicodedata.is_normalized("NFC", value)
    if type(value) is dict:
        return all(_has_clean_texts(item) for item in value.values())
    if type(value) in (list, tuple):
        return all(_has_clean_texts(item) for item in value)
    return True


def _explain(value: Any, pointer: str, depth: int) -> None:
    """Raise `NotCanonical` for the first culprit at or below `pointer`."""
    if depth > MAX_DEPTH:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} levels.", pointer=pointer, remedy="Flatten it.")
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str or _KEY.match(key) is None:
                raise NotCanonical(
                    f"the key {key!r:.80} is not allowed.",
                    pointer=pointer,
                    remedy=f"Keys are 1 to {MAX_KEY_LENGTH} of a-z, 0-9 and underscore.",
                )
            _explain(item, f"{pointer}/{key}", depth + 1)
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            _explain(item, f"{pointer}/{index}", depth + 1)
    elif not _is_clean_scalar(value) or not _has_clean_texts(value) or _is_surrogate(value):
        raise NotCanonical(f"{_reason(value)}.", pointer=pointer, remedy=_REMEDY)


def _reason(value: Any) -> str:
    if type(value) is str:
        if "\0" in value:
            return "the string holds U+0000"
        if _is_surrogate(value):
            return "the string holds half of a surrogate pair"
        return "the string is not in Unicode normalisation form NFC"
    if type(value) is int:
        return "the integer lies beyond 2^53 - 1; write it as a string of digits"
    if type(value) is float:
        return "floats are not allowed; write the number as a string"
    return f"a {type(value).__name__} has no canonical form"


def _is_surrogate(value: Any) -> bool:
    return type(value) is str and any("\ud800" <= char <= "\udfff" for char in value)


def _load(data: bytes) -> Any:
    if orjson is not None:
        # Duplicate keys and other forms fall to the comparison of bytes afterwards.
        return orjson.loads(data)
    return json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def _dump(value: Any) -> bytes:
    if orjson is not None:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
