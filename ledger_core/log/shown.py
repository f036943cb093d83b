"""Text of others as it may be shown: on a terminal, in a document, on a page.

Names of files and texts of records come from whoever made the export. What would move a cursor, turn the direction of
reading, break a line or have no form in UTF-8 is written out as an escape, so that it is seen and does nothing.
"""

from __future__ import annotations

import unicodedata
from typing import Any

MAX_SHOWN_CHARACTERS = 2_000
"""Of one text: a longer one is cut, and the cut is marked."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: control, format (bidirectional marks among them), surrogate, private, unassigned, separators."""


def shown(text: str) -> str:
    """Return `text` with nothing in it that acts rather than shows, and of a length that can be read."""
    if len(text) > MAX_SHOWN_CHARACTERS:
        text = text[:MAX_SHOWN_CHARACTERS] + " [cut]"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _UNSEEN else char for char in text)


def shown_all(value: Any) -> Any:
    """Return a JSON value whose texts, names of members included, are `shown`."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {shown(name) if isinstance(name, str) else name: shown_all(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_all(item) for item in value]
    return value


def _escaped(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
