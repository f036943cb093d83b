"""What text may stand in a record: strings that hash the same everywhere.

Unicode in form NFC, no lone surrogate, no U+0000 (Postgres text cannot hold it). Checked at the door, never
silently normalised: the bytes that somebody signed off are the bytes that are stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from ledger_core.errors import InvalidInput

MAX_METADATA_KEYS = 64
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_LENGTH = 8_000

MAX_PRIVATE_NAMES = 64
MAX_PRIVATE_LENGTH = 8_000
MAX_PRIVATE_BYTES = 65_535
"""Of all values of one entry together, in UTF-8: as much as a record may have."""

_METADATA_KEY = re.compile(r"[a-z0-9_]{1,64}")


def text_fault(text: str) -> str | None:
    """Say what keeps `text` out of a record, or return None."""
    if text.isascii():
        return "holds U+0000" if "\0" in text else None
    if "\0" in text:
        return "holds U+0000"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds a lone surrogate"
    return None if unicodedata.is_normalized("NFC", text) else "is not in Unicode form NFC"


def check_text(value: object, *, pointer: str, what: str, max_length: int, min_length: int = 0) -> str:
    """Return `value` when it is a storable string of that many characters, else raise `InvalidInput`."""
    if not isinstance(value, str):
        raise InvalidInput(
            f"{what} must be a string.", pointer=pointer, remedy='Put the value in double quotes: "12", not 12.'
        )
    if not min_length <= len(value) <= max_length:
        raise InvalidInput(
            f"{what} must have {min_length} to {max_length} characters, not {len(value)}.",
            pointer=pointer,
            remedy="Shorten it." if value else "Give it a value.",
        )
    fault = text_fault(value)
    if fault is not None:
        raise InvalidInput(f"{what} {fault}.", pointer=pointer, remedy="Normalise the text before it is sent.")
    return value


def check_metadata(value: object, *, pointer: str) -> dict[str, str]:
    """Return `value` when it maps `[a-z0-9_]+` keys to strings, else raise `InvalidInput` with a pointer."""
    return _check_texts(value, pointer=pointer, what="metadata", most=MAX_METADATA_KEYS, max_length=MAX_METADATA_LENGTH)


def check_private(value: object, *, pointer: str) -> dict[str, str]:
    """Return `value` when it is as metadata must be, else raise `InvalidInput` with a pointer.

    Neither a value is repeated nor a name that is none.
    """
    private = _check_texts(
        value, pointer=pointer, what="private", most=MAX_PRIVATE_NAMES, max_length=MAX_PRIVATE_LENGTH
    )
    size = sum(len(text.encode()) for text in private.values())
    if size > MAX_PRIVATE_BYTES:
        raise InvalidInput(
            f"private has {size:,} bytes; {MAX_PRIVATE_BYTES:,} are the most.",
            pointer=pointer,
            remedy="Keep what must be found again, and leave the rest where it came from.",
        )
    return private


def _check_texts(value: object, *, pointer: str, what: str, most: int, max_length: int) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidInput(
            f"{what} must be an object of strings.", pointer=pointer, remedy='Write {"reference": "txn_1"}.'
        )
    if len(value) > most:
        raise InvalidInput(
            f"{what} has at most {most} keys, not {len(value)}.",
            pointer=pointer,
            remedy="Keep what reconciliation needs and leave the rest where it came from.",
        )
    for key, text in value.items():
        if not isinstance(key, str) or _METADATA_KEY.fullmatch(key) is None:
            # What is no name may be a private value that stands in the wrong place.
            secret = what == "private"
            raise InvalidInput(
                f"{what} key {'' if secret else f'{shown(key)} '}is not 1 to {MAX_METADATA_KEY_LENGTH} of "
                "a-z, 0-9, '_'.",
                pointer=pointer if secret else f"{pointer}/{escape_pointer(str(key)[:80])}",
                remedy="Rename the key, for example to snake_case.",
            )
        check_text(text, pointer=f"{pointer}/{key}", what=f"{what} {key!r}", max_length=max_length)
    return dict(value)


def shown(value: object, *, length: int = 40) -> str:
    """Return `value` in quotes for a message, cut after `length` characters with an ellipsis."""
    text = str(value)
    return repr(text if len(text) <= length else text[:length] + "...")


def escape_pointer(key: str) -> str:
    """Return `key` as a reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
