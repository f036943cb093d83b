"""An MT940 file as a stream of fields, each with the line on which it begins.

Not a validator of messages: which field may follow which is the source's. The envelope of SWIFT (`{1:..}{2:..}{4:..-}`)
may be there or not, and what banks put around a message (a BIC, `940`) is passed over. Memory is bounded by a block and
the longest field allowed, whatever the size of the file.

Source: SWIFT User Handbook, MT940 Customer Statement Message; DFÜ-Abkommen, Anlage 3, chapter 8 (Deutsche
Kreditwirtschaft).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from ingest.formats.plain_text import PlainText
from ledger_core.errors import InvalidInput

MAX_FIELD_BYTES = 1024 * 1024
"""A field is at most a few hundred characters; what has no tag for so long is no MT940."""

END, ENVELOPE, PREAMBLE = "-", "{", ""
"""Tags of what is no field: the end of a message, the blocks around it, and what stands before the first field."""

Field = tuple[int, str, str]
"""Line, tag and text; the lines of a text are parted by `\\n`, whatever the file writes."""

# No text of a field begins a line with a colon or a hyphen: SWIFT forbids it. A message ends with `-`, `-}` or `-XXX`.
_START = re.compile(r"^(?::([0-9]{2}[A-Z]?|NS):|(-(?=\}|XXX|[ \t]*$))|(?=(\{)[1-5]:))", re.MULTILINE)
_TAG = re.compile(r":([0-9]{2}[A-Z]?):")


class Fields:
    """The fields of one file, once."""

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._text = PlainText(stream, name=name)
        self._name = name

    @property
    def newline(self) -> str:
        """What ends a line of the file."""
        return self._text.newline

    def __iter__(self) -> Iterator[Field]:
        """Yield the fields in order. Raises `InvalidInput` with file and line for what is no text of an MT940."""
        line, text = 1, ""
        for block in self._text.blocks():
            text += block
            # The last field may go on in the next block.
            last = max((start.start() for start in _START.finditer(text, max(0, text.rfind("\n:")))), default=0)
            if last:
                yield from self._fields(text[:last], line)
                line += text.count("\n", 0, last)
                text = text[last:]
            if len(text) > MAX_FIELD_BYTES:
                raise InvalidInput(
                    f"the field that begins here does not end within {MAX_FIELD_BYTES} bytes (MAX_FIELD_BYTES).",
                    file=self._name,
                    line=line,
                    remedy="This is no bank statement; check where the file came from.",
                )
        yield from self._fields(text, line)

    def _fields(self, text: str, line: int) -> Iterator[Field]:
        before, *parts = _START.split(text)
        if before.strip():
            yield line, PREAMBLE, self._text.as_text(before, line=line)
        line += before.count("\n")
        for tag, end, _, value in zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True):
            plain = value if value.isascii() else self._text.as_text(value, line=line)
            if tag:
                yield line, tag, plain.rstrip("\n")
            else:
                yield from _around(end is not None, plain, line)
            line += value.count("\n")


def _around(is_end: bool, text: str, line: int) -> Iterator[Field]:
    """Yield what stands between messages: an end, the envelope after it, and a field on the line of the envelope."""
    if is_end:
        yield line, END, ""
    place = text.find("{1:")
    if is_end and place < 0:
        return
    blocks, opened, inside = text[max(place, 0) :].partition("{4:")
    yield line, ENVELOPE, blocks + opened
    if field := _TAG.match(inside):
        yield line, field[1], inside[field.end() :].rstrip("\n")
