"""In which encoding an XML document is written, and the document as UTF-8 whatever that is.

ISO 20022 asks for UTF-8 and banks send what their systems speak; an XML declaration (XML 1.0, 4.3.3) or a byte order
mark says which. Read is what XML names and what has ASCII in it byte for byte or is UTF-16. A declaration that the
bytes contradict refuses the file: text that is guessed is text that is changed.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from ledger_core.errors import InvalidInput

BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"))
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_NATIVE = frozenset({"UTF-8", "UTF8", "US-ASCII", "ASCII"})
_CODECS = {
    **{f"ISO-8859-{part}": f"iso8859-{part}" for part in range(1, 17) if part != 12},
    **{f"ISO_8859-{part}": f"iso8859-{part}" for part in range(1, 17) if part != 12},
    **{f"WINDOWS-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"CP{page}": f"cp{page}" for page in range(1250, 1259)},
    "LATIN1": "iso8859-1",
    "SHIFT_JIS": "shift_jis",
    "EUC-JP": "euc_jp",
}
"""Of these ASCII is a byte a character and no part of another, so that a card number is found in the bytes as they
came; in UTF-16 it is not, and a statement in UTF-16 with one is refused when it is stored."""


def codec_of(head: bytes, *, name: str) -> str | None:
    """Return the codec that a document which starts with `head` needs, None for UTF-8.

    Raises `InvalidInput` for an encoding that is not read, and for UTF-16 that is declared and is not there.
    """
    for mark, encoding in _WIDE_MARKS:
        if head.startswith(mark):
            raise _unread(encoding, name)
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec
    declared = _DECLARED.match(head.removeprefix(BOM))
    encoding = declared[1].decode().upper() if declared else "UTF-8"
    if encoding in _NATIVE or head.startswith(BOM):
        return None
    if encoding.startswith(("UTF-16", "ISO-10646-UCS-2")):
        raise InvalidInput(
            f"the file says that it is encoded as {encoding}, and its bytes are not.",
            file=name,
            line=1,
            remedy="It was converted on its way and its first line left as it was: fetch it again as the bank sent it.",
        )
    if encoding not in _CODECS:
        raise _unread(encoding, name)
    return _CODECS[encoding]


def as_utf8(head: bytes, codec: str | None) -> bytes:
    """Return the beginning of a document as UTF-8; a character that `head` cuts is left out, a wrong one replaced."""
    return head if codec is None else codecs.getincrementaldecoder(codec)("replace").decode(head).encode()


class Recoded:
    """A document in another encoding, read as UTF-8. `read` raises `InvalidInput` at what is no character in it."""

    def __init__(self, stream: BinaryIO, codec: str, *, name: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)("strict")
        self._codec = codec
        self._name = name
        self._line = 1

    def read(self, size_bytes: int) -> bytes:
        """Return about `size_bytes` of UTF-8, nothing at the end."""
        while True:
            block = self._stream.read(size_bytes)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                problem = f"a byte is no character in {self._codec}, which the file says it is encoded in"
                raise InvalidInput(
                    f"{problem}: {error.object[error.start : error.end][:4].hex()}.",
                    file=self._name,
                    line=self._line,
                    remedy="Fetch it again as the bank sent it, without opening it in an editor.",
                ) from error
            self._line += text.count("\n")
            if text or not block:
                return text.encode()


def _unread(encoding: str, name: str) -> InvalidInput:
    return InvalidInput(
        f"the file is encoded as {encoding}; read are UTF-8, UTF-16, US-ASCII, ISO-8859-n, windows-125n, "
        "Shift_JIS and EUC-JP.",
        file=name,
        line=1,
        remedy="Have the bank send UTF-8, as ISO 20022 asks.",
    )
