"""A BAI2 file as a stream of logical records: a record with all that continues it, and the line on which it begins.

A physical record is a line, or so many characters where the header states a length and the file does not break its
lines. A record ends with `/`, which is no part of a field; the text of a detail may hold slashes and commas and end
without one. Memory is bounded by a block and the longest record allowed.

Source: BAI, Cash Management Balance Reporting Specifications, Version 2; ANSI X9.121 repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.formats.plain_text import PlainText
from ledger_core.errors import InvalidInput

CODES = frozenset({"01", "02", "03", "16", "49", "88", "98", "99"})
CONTINUATION = "88"
MAX_RECORD_CHARS = 1024 * 1024
"""Of a record with all that continues it; a detail is a few hundred characters."""


@dataclass(slots=True)
class Record:
    """One logical record: its physical ones without their codes, in the order of the file."""

    line: int
    code: str
    pieces: list[str]
    """What follows each code and its comma, blanks at the end aside."""
    physical: int
    """How many physical records it takes: the trailers count these."""
    length: int
    """Of a physical record, as the header states it; 0 where it states none."""

    def written(self) -> str:
        """Return the record as the file has it."""
        first, *more = self.pieces
        return "\n".join([f"{self.code},{first}", *(f"{CONTINUATION},{each}" for each in more)])

    def fields(self) -> list[str]:
        """Return the fields of a record without a text, over all that continues it."""
        *before, last = self.pieces
        joined = "".join(piece if self.is_cut(piece) else f"{without_end(piece)}," for piece in before)
        return (joined + without_end(last)).split(",")

    def is_cut(self, piece: str) -> bool:
        """Tell whether a physical record is full and not ended: what it ends with goes on in the next."""
        return 0 < self.length <= len(piece) + 3 and not piece.endswith("/")


class Records:
    """The records of one file, once."""

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._text = PlainText(stream, name=name)
        self._name = name
        self._length = 0
        self.warnings: list[str] = []

    @property
    def newline(self) -> str:
        """What ends a line of the file."""
        return self._text.newline

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in order. Raises `InvalidInput` with file and line for what is no record."""
        begun: Record | None = None
        chars = 0
        for line, raw in self._physical():
            text = raw if raw.isascii() else self._text.as_text(raw, line=line)
            code, rest = text[:2], text[3:]
            if code not in CODES or text[2:3] != ",":
                begun = self._wrapped(begun, text, line)
                continue
            if code != CONTINUATION:
                if begun is not None:
                    yield begun
                begun, chars = Record(line, code, [rest], 1, self._length), len(rest)
                continue
            if begun is None:
                raise self._refused("a continuation (88) stands before the first record.", line)
            chars += len(rest)
            if chars > MAX_RECORD_CHARS:
                raise self._refused(
                    f"the record that begins here goes on for more than {MAX_RECORD_CHARS} characters "
                    "(MAX_RECORD_CHARS).",
                    begun.line,
                )
            begun.pieces.append(rest)
            begun.physical += 1
        if begun is not None:
            yield begun

    def _wrapped(self, begun: Record | None, text: str, line: int) -> Record:
        """Take a line that begins with no code: the text of a detail that something broke, else no BAI2."""
        if begun is None or begun.code != "16" or begun.pieces[-1].endswith("/"):
            raise self._refused(f"{text[:40]!r} begins with no record code ({', '.join(sorted(CODES))}).", line)
        if not self.warnings:
            self.warnings.append(f"line {line} begins with no record code: it is read as more of the text before it.")
        begun.pieces[-1] += f" {text}"
        return begun

    def _physical(self) -> Iterator[tuple[int, str]]:
        """Yield the physical records that are not blank, each with its line."""
        line, held = 1, ""
        for block in self._text.blocks():
            held += block
            if line == 1 and not self._length:
                self._length = _stated_length(held)
            *lines, held = held.split("\n")
            for each in lines:
                plain = each.strip()
                if self._length and len(plain) > self._length:
                    yield from self._cut(line, each)
                elif plain:
                    yield line, plain
                line += 1
            if self._length and len(held) > self._length:
                whole = len(held) - len(held) % self._length
                yield from self._cut(line, held[:whole])
                held = held[whole:]
            elif len(held) > MAX_RECORD_CHARS:
                raise self._refused(f"the line does not end within {MAX_RECORD_CHARS} characters.", line)
        yield from self._cut(line, held)

    def _cut(self, line: int, text: str) -> Iterator[tuple[int, str]]:
        """Yield the records of a line: one, or several of the stated length where nothing parts them."""
        step = self._length if 0 < self._length < len(text.rstrip()) else max(len(text), 1)
        for start in range(0, len(text), step):
            if piece := text[start : start + step].strip():
                yield line, piece

    def _refused(self, problem: str, line: int) -> InvalidInput:
        return InvalidInput(
            problem, file=self._name, line=line, remedy="It was cut or changed on its way: fetch it again."
        )


def without_end(piece: str) -> str:
    """Return what a physical record holds without the slash that ends it."""
    return piece[:-1] if piece.endswith("/") else piece


def _stated_length(head: str) -> int:
    """Return the physical record length that the file header states, 0 where it states none."""
    fields = head[:512].partition("/")[0].split(",")
    stated = fields[6].strip() if len(fields) > 7 else ""
    return int(stated) if stated.isascii() and stated.isdigit() and 20 <= int(stated) <= 9_999 else 0
