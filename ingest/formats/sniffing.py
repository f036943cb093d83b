"""What a file is by its first bytes, so that a wrong file is refused with the right name for it.

Not a validator: a file that passes may still be anything, and the parser decides. What is looked at is what was inside:
what is still compressed was packed twice, or in a way that landing does not unpack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ingest.contract.vocabulary import Contract, SourceKind
from ledger_core.errors import InvalidInput

HEAD_BYTES = 65_536

_BOM = b"\xef\xbb\xbf"
_WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_COMPRESSED = (
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"PK\x03\x04", "zip (or an Excel workbook)", "unzip"),
    (b"PK\x05\x06", "zip", "unzip"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\x00", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"7z\xbc\xaf", "7-zip", "7z x"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""Bytes that no text of any encoding with ASCII in it holds."""
_FORMATS = {"csv": "CSV", "xml": "XML", "json": "JSON", "mt940": "MT940", "bai2": "BAI2"}
"""How people call what a contract's `format` names."""
# Banks put a BIC, `940` or a frame before the first field: a statement is known by the fields with which it begins.
_MT940 = re.compile(rb"(?:(?:[^:\r\n]{0,80}[\r\n]+){0,8}|:940:\s*):20:")
_BAI2 = re.compile(rb"01,[^,\r\n]*,[^,\r\n]*,\d{6},")
_WORDS = {
    SourceKind.PSP: "reports of {}",
    SourceKind.BANK: "bank statements",
    SourceKind.RAIL: "answers of a rail",
}


def refuse_strangers(head: bytes, *, name: str, contract: Contract, known: Iterable[Contract]) -> None:
    """Raise `InvalidInput` when a file that starts with `head` is no file of `contract`.

    Of the contracts that are `known`, those that read what it looks like are named.
    """
    wanted, source, ours = contract.format, contract.source, contract.encoding.upper()
    if not head:
        raise InvalidInput(
            "the file is empty.", file=name, line=1, remedy="Fetch it again: even a quiet day has a header."
        )
    for magic, kind, command in _COMPRESSED:
        if head.startswith(magic):
            raise InvalidInput(
                f"the file is compressed ({kind}) where a report should be: only gzip and ZIP are unpacked, and once.",
                file=name,
                remedy=f"Unpack it first (`{command}`), then ingest what was inside.",
            )
    encoding = _wide_encoding(head)
    if encoding and encoding.startswith("UTF-16") and wanted == "xml":
        # XML says itself how it is written, and its reader listens.
        head = head.decode("utf-16" if encoding == "UTF-16" else encoding, "replace").encode()
    elif encoding:
        raise InvalidInput(
            f"the file is encoded as {encoding}; {source} files are {ours}.",
            file=name,
            line=1,
            remedy=f"Fetch it again without opening it, or convert it: `iconv -f {encoding} -t {ours}`.",
        )
    looks = _looks_like(head)
    if looks == "csv" and looks != wanted and _CONTROL.search(head):
        looks = "binary data"
    if looks != wanted:
        raise InvalidInput(
            f"this looks like {_FORMATS.get(looks, looks)}, and {source} files are {_FORMATS.get(wanted, wanted)}.",
            file=name,
            line=1,
            remedy=_other_source(looks, known),
        )


def _wide_encoding(head: bytes) -> str | None:
    for mark, encoding in _WIDE:
        if head.startswith(mark):
            return encoding
    # Without a mark, every other byte of Latin text is zero, and none of those between.
    sample = head[:512]
    if sample.count(0) > len(sample) // 4 and 0 in (sample[::2].count(0), sample[1::2].count(0)):
        return "UTF-16BE" if sample[:1] == b"\x00" else "UTF-16LE"
    return None


def _looks_like(head: bytes) -> str:
    text = head.removeprefix(_BOM).lstrip(b" \t\r\n\x01")
    if text.startswith(b"%PDF"):
        return "PDF"
    if text[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "HTML"
    if text.startswith(b"<"):
        return "xml"
    # Before JSON: a block of an envelope begins with a brace too.
    if text.startswith((b":20:", b"{1:")) or _MT940.match(text):
        return "mt940"
    if text.startswith((b"{", b"[")):
        return "json"
    if _BAI2.match(text):
        return "bai2"
    return "csv"


def _other_source(looks: str, known: Iterable[Contract]) -> str:
    reading = [
        f"{_WORDS[each.kind].format(each.provider)} (`counterfoil ingest {each.source} FILE`)"
        for each in known
        if each.format == looks
    ]
    if reading:
        return f"In {_FORMATS.get(looks, looks)} are {', '.join(reading)}."
    return "Check that the right file was fetched; a login or error page is often saved under a report's name."
