"""The document that a sweep leaves behind: what was asked of a list, then every object of the answer, a line each.

An object's line is the bytes of the API without the line breaks between its members. Objects stand by time and id and
each id stands once, so a document is a function of what Stripe holds: neither the size of pages, nor their order, nor
a page that was fetched twice changes a byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any

import orjson

from ledger_core.errors import InvalidInput

_BREAK = re.compile(r"[ \t]*[\r\n]\s*")
"""No string of JSON holds a line break, so this is never a part of one."""
_SPACE = re.compile(r"[ \t\r\n]*")


class Number(str):
    """A number as the text that the API wrote."""

    __slots__ = ()


_DECODER = JSONDecoder(parse_float=Number, parse_int=Number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One object of an answer: its line, and what decides its place."""

    id: str
    created: int
    line: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer of a list."""

    objects: tuple[Listed, ...]
    has_more: bool


def decoded(text: str) -> Any:
    """Return the JSON value in `text`, its numbers as their own text. Raises `ValueError` for anything else."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def text_of(value: Any) -> str:
    """Return a value as a column holds it: text as it came, nothing for null, what is nested as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()


def read_page(body: str) -> Page:
    """Return the objects of an answer, each with its own bytes. Raises `InvalidInput` for what is no list."""
    try:
        whole = decoded(body)
        if not isinstance(whole, dict) or not isinstance(whole.get("data"), list):
            raise ValueError("no list")
        objects = tuple(_listed(text) for text in _elements(body))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"the API's answer is no list of objects with id and time: {type(error).__name__}.",
            remedy="Look whether the setting of Stripe's address names Stripe and nothing between.",
        ) from error
    return Page(objects=objects, has_more=whole.get("has_more") is True)


def document(parts: Iterable[tuple[Mapping[str, Any], Iterable[Listed]]]) -> bytes:
    """Return the bytes of a document: for each part what was asked for and how much came, then the objects."""
    lines: list[bytes] = []
    for asked, objects in parts:
        # Of two versions of one object that which was fetched last counts.
        ordered = sorted({each.id: each for each in objects}.values(), key=lambda each: (each.created, each.id))
        lines.append(orjson.dumps({"object": "list", **asked, "count": len(ordered)}))
        lines += [each.line.encode() for each in ordered]
    return b"\n".join([*lines, b""])


def _plain(value: Any) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _listed(text: str) -> Listed:
    value = decoded(text)
    if not value["id"] or type(value["id"]) is not str:
        raise ValueError("no id")
    return Listed(id=value["id"], created=int(text_of(value["created"])), line=_BREAK.sub("", text), value=value)


def _elements(body: str) -> Iterator[str]:
    """Yield the text of each element of the member `data` of the object in `body`."""
    place = _after(body, _SPACE.match(body, 0), "{")
    while True:
        key, place = _DECODER.raw_decode(body, _skipped(body, place))
        place = _skipped(body, _after(body, _SPACE.match(body, place), ":"))
        if key == "data":
            break
        _, place = _DECODER.raw_decode(body, place)
        place = _after(body, _SPACE.match(body, place), ",")
    place = _skipped(body, _after(body, _SPACE.match(body, place), "["))
    while body[place] != "]":
        begin = place
        _, place = _DECODER.raw_decode(body, begin)
        yield body[begin:place]
        place = _skipped(body, place)
        if body[place] == ",":
            place = _skipped(body, place + 1)


def _skipped(body: str, place: int) -> int:
    found = _SPACE.match(body, place)
    return found.end() if found else place


def _after(body: str, space: re.Match[str] | None, wanted: str) -> int:
    place = space.end() if space else 0
    if body[place : place + 1] != wanted:
        raise JSONDecodeError(f"no {wanted}", body, place)
    return place + 1
