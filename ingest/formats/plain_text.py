"""Files of banks in plain text, block by block: line breaks made one, frames taken off, damage refused.

Such files say nowhere how they are encoded. What is UTF-8 is read as that, the rest in Windows' encoding of Western
Europe; a byte that is neither is refused with its line, for a letter that is guessed is a name that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from ledger_core.errors import InvalidInput

BLOCK_BYTES = 256 * 1024

_BOM = "\xef\xbb\xbf"
_FRAMES = re.compile("[\x01\x03\x1a]")
"""SWIFT frames a message in SOH and ETX, DOS ends a file with SUB."""


class PlainText:
    """The text of one file, once: a byte a character until `as_text` says what it is."""

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._stream = stream
        self._name = name
        self.newline = "\n"
        """What ends a line of the file, by its first block."""

    def blocks(self) -> Iterator[str]:
        """Yield blocks in which `\\n` ends a line. Raises `InvalidInput` with the line of a zero byte."""
        line, held, first = 1, b"", True
        while block := self._stream.read(BLOCK_BYTES):
            data = held + block
            # A line break of two bytes is never cut in two.
            held = b"\r" if data.endswith(b"\r") else b""
            text = data[: len(data) - len(held)].decode("latin-1")
            if first:
                first, self.newline, text = False, "\r\n" if "\r\n" in text else "\n", text.removeprefix(_BOM)
            text = _FRAMES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
            if "\0" in text:
                raise InvalidInput(
                    "a zero byte in the text: the file is damaged.",
                    file=self._name,
                    line=line + text.count("\n", 0, text.index("\0")),
                    remedy="Fetch it again.",
                )
            line += text.count("\n")
            yield text
        if held:
            yield "\n"

    def as_text(self, raw: str, *, line: int) -> str:
        """Return `raw`, a byte a character, as what it says; `line` is where it begins."""
        if raw.isascii():
            return raw
        data = raw.encode("latin-1")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        try:
            return data.decode("windows-1252")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"byte 0x{data[error.start]:02x} is neither UTF-8 nor WINDOWS-1252; the file was saved in another "
                "encoding.",
                file=self._name,
                line=line + data.count(b"\n", 0, error.start),
                remedy="Convert it: `iconv -f CP850 -t UTF-8` (Western Europe) or `-f CP852` (Central Europe).",
            ) from error
