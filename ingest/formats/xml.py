"""Untrusted XML as a stream of finished elements.

No entities, no DTD, no network, no huge nodes: what libxml2 refuses by itself (more than 256 levels, a text over 10
MB) is refused here by the same words as everything else. Memory is bounded by the largest element between two that
are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from ingest.formats.xml_encoding import BOM, Recoded, as_utf8, codec_of
from ledger_core.errors import InvalidInput

BLOCK_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
"""The document's first element starts within it."""
_MARK_BYTES = 1024
"""A byte order mark or an XML declaration is shorter."""
MAX_ELEMENT_BYTES = 16 * 1024 * 1024
"""Between the ends of two elements that are read and let go: a single entry of a bank is a few kilobytes."""

MAX_DEPTH = 256
MAX_TEXT_BYTES = 10_000_000
MAX_NAME_CHARS = 50_000
"""These three are what libxml2 holds to unless told `huge_tree`; named here for the messages."""

Element = Any
_SKIPPED = ((b"<?", b"?>"), (b"<!--", b"-->"))
_PLACE = re.compile(r",? line \d+, column \d+.*")
_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def document_tag(stream: BinaryIO, *, wanted: str, name: str) -> str:
    """Return the tag of the first element called `wanted`, else of the root, as `{namespace}name`, and rewind.

    A document may stand in an envelope, beside its business application header (ISO 20022, head.001). Raises
    `InvalidInput` for a document type declaration, an encoding that is not read, or what is no XML.
    """
    stream.seek(0)
    raw = stream.read(HEAD_BYTES)
    stream.seek(0)
    codec = codec_of(raw, name=name)
    head = as_utf8(raw, codec)
    _refuse_document_type(head, name)
    parser = etree.XMLPullParser(events=("start",), **_options(codec))
    try:
        parser.feed(head)
        started = [element for _, element in parser.read_events()]
    except etree.XMLSyntaxError as error:
        raise _malformed(error, name) from error
    if not started:
        problem = (
            "is cut before its first element"
            if len(raw) < HEAD_BYTES
            else f"has no element in its first {HEAD_BYTES} bytes"
        )
        raise InvalidInput(f"the file {problem}.", file=name, line=1, remedy="Fetch it again.")
    declared = started[0].getroottree().docinfo
    if declared.doctype or declared.internalDTD is not None:
        raise _document_type(name, line=1)
    found = (each for each in started if etree.QName(each).localname == wanted)
    return str(next(found, started[0]).tag)


def finished_elements(stream: BinaryIO, names: tuple[str, ...], *, name: str) -> Iterator[Element]:
    """Yield the elements with these local names as each one ends, in the order of the file.

    Let go of each with `forget`. Raises `InvalidInput` with the line where the file stops being XML.
    """
    start = stream.tell()
    codec = codec_of(stream.read(_MARK_BYTES), name=name)
    stream.seek(start)
    source = stream if codec is None else Recoded(stream, codec, name=name)
    parser = etree.XMLPullParser(events=("end",), tag=[f"{{*}}{each}" for each in names], **_options(codec))
    since, last_line = 0, 1
    try:
        while block := source.read(BLOCK_BYTES):
            parser.feed(block)
            since += len(block)
            for _, element in parser.read_events():
                since, last_line = 0, element.sourceline or last_line
                yield element
            if since > MAX_ELEMENT_BYTES:
                raise InvalidInput(
                    f"more than {MAX_ELEMENT_BYTES} bytes without the end of an entry (MAX_ELEMENT_BYTES).",
                    file=name,
                    line=last_line,
                    remedy="This is no bank statement; check where the file came from.",
                )
        parser.close()
        for _, element in parser.read_events():
            yield element
    except etree.XMLSyntaxError as error:
        raise _malformed(error, name) from error


def forget(element: Element, *, keep: tuple[str, ...] = ()) -> None:
    """Free what `element` holds and everything before it in its parent, but for the local names in `keep`.

    The element itself stays: the parser may be appending to its tail.
    """
    element.clear(keep_tail=True)
    parent, older = element.getparent(), element.getprevious()
    while older is not None:
        before = older.getprevious()
        if etree.QName(older).localname not in keep:
            parent.remove(older)
        older = before


def _options(codec: str | None) -> dict[str, Any]:
    """Return how to parse; what was recoded is UTF-8, whatever its first line still says."""
    return _OPTIONS if codec is None else {**_OPTIONS, "encoding": "utf-8"}


def _refuse_document_type(head: bytes, name: str) -> None:
    """Look for the declaration before the parser does: it would stop at the entities inside with words of its own."""
    place = len(BOM) if head.startswith(BOM) else 0
    while place < len(head):
        if head[place : place + 1].isspace():
            place += 1
        elif head.startswith(b"<!DOCTYPE", place):
            raise _document_type(name, line=head.count(b"\n", 0, place) + 1)
        else:
            end = next((mark for start, mark in _SKIPPED if head.startswith(start, place)), None)
            found = head.find(end, place + 2) if end else -1
            if end is None or found < 0:
                return
            place = found + len(end)


def _document_type(name: str, *, line: int) -> InvalidInput:
    return InvalidInput(
        "the file declares a document type (DOCTYPE), which no statement needs and attacks use.",
        file=name,
        line=line,
        remedy="Ask the bank for the file without it; do not edit it yourself.",
    )


def _malformed(error: etree.XMLSyntaxError, name: str) -> InvalidInput:
    if error.code == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
        words = error.msg or ""
        if "depth" in words:
            problem = f"elements stand deeper than {MAX_DEPTH} levels (MAX_DEPTH)"
        elif "ame too long" in words:
            problem = f"a name has more than {MAX_NAME_CHARS} characters (MAX_NAME_CHARS)"
        else:
            problem = f"a single text or tag has more than {MAX_TEXT_BYTES} bytes (MAX_TEXT_BYTES)"
        return InvalidInput(
            f"{problem}.",
            file=name,
            line=error.lineno or 1,
            remedy="This is no bank statement; check where the file came from.",
        )
    reason = _PLACE.sub("", " ".join((error.msg or "no XML").split())).rstrip(".")
    return InvalidInput(
        f"the file stops being XML here: {reason}.",
        file=name,
        line=error.lineno or 1,
        remedy="It was cut or changed on its way: fetch it again.",
    )
