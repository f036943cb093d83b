"""JSON as strictly as a ledger must read it: what two parsers could read differently is refused.

Refused: duplicate keys (most parsers keep the last, silently), floats and NaN, integers that a double cannot
hold, bytes that are not UTF-8, lone surrogates, U+0000, text that is not NFC. The common case costs one pass
of the standard library's scanner; the search for the culprit's pointer is paid only by bad input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.journal.text import escape_pointer, shown, text_fault

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes, *, file: str | None = None, line: int | None = None) -> Any:
    """Return the value that `data` says.

    Raises `InvalidInput` with `file`, `line` and pointer of what is wrong.
    `line` is where `data` starts in its file when it is one line of many; otherwise lines count within
    `data`.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"byte {error.start} is not UTF-8.",
            file=file,
            line=line if line is not None else data.count(b"\n", 0, error.start) + 1,
            remedy="Save the text as UTF-8.",
        ) from None
    if text.startswith("\ufeff"):
        raise InvalidInput(
            "the text starts with a byte order mark.", file=file, line=line or 1, remedy="Save without BOM."
        )
    if _may_be_too_deep(data) and (deep := _line_too_deep(text)):
        raise InvalidInput(
            f"nested deeper than {MAX_DEPTH} levels.",
            file=file,
            line=line if line is not None else deep,
            remedy=_ONE_OBJECT if file is None else _OBJECT_A_LINE,
        )
    flags: list[_Fault] = []
    try:
        value = _decoder(flags).decode(text)
    except json.JSONDecodeError as error:
        place = line if line is not None else error.lineno
        reason = error.msg.removesuffix(" at").removesuffix(" starting")
        raise InvalidInput(
            f"not JSON: {reason} (column {error.colno}).",
            file=file,
            line=place,
            remedy=_ONE_OBJECT if file is None else _OBJECT_A_LINE,
        ) from None
    except RecursionError:
        raise InvalidInput(
            f"nested deeper than {MAX_DEPTH} levels.",
            file=file,
            line=line if line is not None else _line_too_deep(text) or 1,
            remedy=_ONE_OBJECT if file is None else _OBJECT_A_LINE,
        ) from None
    if flags or b"\\u" in data or not data.isascii():
        for pointer, fault in _faults(value, "", 0):
            raise InvalidInput(f"{fault}.", file=file, line=line, pointer=pointer, remedy=_REMEDY)
    return value


_ONE_OBJECT = "Send one JSON document, as the API's reference shows it."
_OBJECT_A_LINE = "Give one JSON object a line, as POST /finance/journal-entries takes it."
_REMEDY = "Amounts are strings of digits; keys stand once; text is NFC."


class _Fault:
    """Stands in the parsed value where something refused was, so that a walk can find its pointer."""

    __slots__ = ("key", "message")

    def __init__(self, message: str, key: str | None = None) -> None:
        self.message = message
        self.key = key


def _decoder(flags: list[_Fault]) -> json.JSONDecoder:
    def flag(message: str, key: str | None = None) -> _Fault:
        flags.append(_Fault(message, key))
        return flags[-1]

    def pairs(items: list[tuple[str, Any]]) -> Any:
        members = dict(items)
        if len(members) == len(items):
            return members
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                return flag(f"key {shown(key)} stands there twice", key)
            seen.add(key)
        return members

    def integer(text: str) -> Any:
        if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER:
            return flag(f"the number {_cut(text)} is beyond what every reader holds exactly")
        return int(text)

    return json.JSONDecoder(
        object_pairs_hook=pairs,
        parse_int=integer,
        parse_float=lambda text: flag(f"the number {_cut(text)} is not a whole number"),
        parse_constant=lambda text: flag(f"{text} is not JSON"),
    )


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def _may_be_too_deep(data: bytes) -> bool:
    """Say whether brackets may be open more than `MAX_DEPTH` deep, strings not being told from the rest.

    Each round takes away what is innermost: by `bytes` alone, a thousand entries cost 1 ms of the 28 of their parsing.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    brackets = data.translate(None, delete=_NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return bool(brackets)


def _line_too_deep(text: str) -> int:
    """Return the line within `text` where more than `MAX_DEPTH` brackets are open, 0 if there is none."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            return text.count("\n", 0, token.start()) + 1
    return 0


def _faults(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Fault):
        yield (pointer if value.key is None else f"{pointer}/{escape_pointer(value.key)}"), value.message
    elif depth > MAX_DEPTH:
        yield pointer, f"nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, str):
        fault = text_fault(value)
        if fault is not None:
            yield pointer, f"the text {fault}"
    elif isinstance(value, dict):
        for key, member in value.items():
            inner = f"{pointer}/{escape_pointer(key)}"
            fault = text_fault(key)
            if fault is not None:
                yield pointer, f"the key {_cut(key)!a} {fault}"
            yield from _faults(member, inner, depth + 1)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _faults(member, f"{pointer}/{index}", depth + 1)
