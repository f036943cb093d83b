"""The nightly segment: four files that prove a stretch of a log without any other segment. Names, manifest, writer.

    <origin>/segments/<yyyy>/<mm>/<dd>/<segment>-<first_seq>-<next_seq>/
        records.jsonl.gz     the exact bytes of the records, one a line (canonical JSON holds no newline)
        checkpoint           signed note at size next_seq
        keys.jsonl           the key registry, one DSSE envelope a line
        manifest.dsse.json   what all this is, signed
        checkpoint.tsr       a time-stamp token over the checkpoint, where an authority is set

The manifest carries the frontier of the tree before: fold it, append the leaves, and the root must be the signed one.
Its hash is that of the payload, never of the envelope: signature bytes are no identity.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, BinaryIO

from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes, parse_strict
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import ORIGIN_PATTERN, decode_hash, encode_base64
from ledger_core.log.record import BOOK_PATTERN

SCHEMA = "cf-segment/1"
RECORDS_FILE = "records.jsonl.gz"
CHECKPOINT_FILE = "checkpoint"
KEYS_FILE = "keys.jsonl"
MANIFEST_FILE = "manifest.dsse.json"
FILES = (RECORDS_FILE, CHECKPOINT_FILE, KEYS_FILE, MANIFEST_FILE)
TIMESTAMP_FILE = "checkpoint.tsr"
OPTIONAL_FILES = (TIMESTAMP_FILE,)

FOLDER_PATTERN = re.compile(r"(?P<segment>[0-9]{10,16})-(?P<first>[0-9]{1,19})-(?P<next>[0-9]{1,19})\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_DIGITS = re.compile(r"(?:0|[1-9][0-9]*)\Z")
GZIP_LEVEL = 3
"""Measured on journal entries of 677 bytes: 216,000 records/s at 4.9 to 1, where level 6 gives 100,000 at 5.3 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of the segment as stored; `content_*` and `lines` describe what is inside a compressed one.

    `version_id` is the version that the object store gave it, None where the store has none.
    """

    name: str
    bytes: int
    sha256: str
    content_bytes: int | None = None
    content_sha256: str | None = None
    lines: int | None = None
    version_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the file as the manifest lists it."""
        found = {
            "bytes": self.bytes,
            "content_bytes": self.content_bytes,
            "content_sha256": self.content_sha256,
            "lines": self.lines,
            "name": self.name,
            "sha256": self.sha256,
            "version_id": self.version_id,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The segment before: its number, the hash of its manifest's payload, its version in the object store if any."""

    segment: int
    manifest_sha256: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A segment's table of contents. `totals` maps a currency to gross (debits, credits) in minor units."""

    origin: str
    book: str
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    previous: Previous | None
    before: Frontier
    """The tree of `first_seq` leaves."""
    root: bytes
    """Of the tree of `next_seq` leaves."""
    first_prev: bytes
    last_leaf: bytes
    entries: int
    totals: Mapping[str, tuple[int, int]]
    objects: tuple[StoredFile, ...]
    cutoff: str
    """`recorded_at` of the last record."""
    created_at: str
    registry_version: int
    registry_sha256: str
    software: Mapping[str, str]
    assurance: str
    consistency: tuple[bytes, ...] = field(default=())
    """The proof from `first_seq` to `next_seq`, for whoever does not stream the records."""

    def to_bytes(self) -> bytes:
        """Return the payload to be signed as DSSE type `SEGMENT_TYPE`."""
        return canonical_bytes(
            {
                "assurance": self.assurance,
                "book": self.book,
                "chain": {"first_prev": self.first_prev.hex(), "last_leaf": self.last_leaf.hex()},
                "closed_on": self.closed_on.isoformat(),
                "created_at": self.created_at,
                "cutoff": self.cutoff,
                "entries": self.entries,
                "first_seq": self.first_seq,
                "key_registry": {"sha256": self.registry_sha256, "version": self.registry_version},
                "next_seq": self.next_seq,
                "objects": [item.as_json() for item in self.objects],
                "origin": self.origin,
                "previous": None if self.previous is None else _previous_as_json(self.previous),
                "schema": SCHEMA,
                "segment": self.segment,
                "software": dict(self.software),
                "totals": [
                    {"credits": str(credits), "currency": currency, "debits": str(debits)}
                    for currency, (debits, credits) in sorted(self.totals.items())
                ],
                "tree": {
                    "after": {"root": encode_base64(self.root), "size": self.next_seq},
                    "before": {
                        "frontier": [encode_base64(peak) for peak in self.before.peaks],
                        "root": encode_base64(self.before.root()),
                        "size": self.before.size,
                    },
                    "consistency": [encode_base64(item) for item in self.consistency],
                },
            }
        )

    @property
    def folder(self) -> str:
        """The segment's place in the archive."""
        return segment_folder(self.origin, self.closed_on, self.segment, self.first_seq, self.next_seq)

    def stored(self, name: str) -> StoredFile | None:
        """Return the file `name` as the manifest lists it."""
        return next((item for item in self.objects if item.name == name), None)


class RecordsWriter:
    """Write records as gzip with no time in it, so that the same records give the same file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Hashing(file)
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=self._file, mtime=0)
        self._content = sha256()
        self._content_bytes = 0
        self._lines = 0

    def write(self, lines: Sequence[bytes]) -> None:
        """Append records (canonical bytes, without newline)."""
        block = b"".join(line + b"\n" for line in lines)
        self._content.update(block)
        self._content_bytes += len(block)
        self._lines += len(lines)
        self._gzip.write(block)

    def close(self) -> StoredFile:
        """Finish the stream (the file stays open) and return its description."""
        self._gzip.close()
        return StoredFile(
            name=RECORDS_FILE,
            bytes=self._file.bytes,
            sha256=self._file.hash.hexdigest(),
            content_bytes=self._content_bytes,
            content_sha256=self._content.hexdigest(),
            lines=self._lines,
        )


def stored_file(name: str, data: bytes) -> StoredFile:
    """Return the description of a small file."""
    return StoredFile(name=name, bytes=len(data), sha256=sha256(data).hexdigest())


def segment_folder(origin: str, closed_on: date, segment: int, first_seq: int, next_seq: int) -> str:
    """Return a segment's place in the archive."""
    return f"{origin}/segments/{closed_on:%Y/%m/%d}/{segment:010d}-{first_seq}-{next_seq}"


def manifest_sha256(payload: bytes) -> str:
    """Return the name by which the next segment and the `export` record know a manifest."""
    return sha256(payload).hexdigest()


def parse_manifest(payload: bytes) -> Manifest:
    """Return the manifest in `payload`. Raises `InvalidInput` (`NotCanonical`) for any other shape."""
    value = parse_strict(payload)
    try:
        if value["schema"] != SCHEMA:
            raise InvalidInput(f"the manifest is not of schema {SCHEMA}.", pointer="/schema", remedy=_REMEDY)
        before = value["tree"]["before"]
        frontier = Frontier(_count(before["size"]), tuple(decode_hash(peak) for peak in before["frontier"]))
        found = Manifest(
            origin=_matching(value["origin"], ORIGIN_PATTERN),
            book=_matching(value["book"], BOOK_PATTERN),
            segment=_count(value["segment"]),
            closed_on=_day(value["closed_on"]),
            first_seq=_count(value["first_seq"]),
            next_seq=_count(value["next_seq"]),
            previous=None if value["previous"] is None else _parse_previous(value["previous"]),
            before=frontier,
            root=decode_hash(value["tree"]["after"]["root"]),
            first_prev=bytes.fromhex(_hash(value["chain"]["first_prev"])),
            last_leaf=bytes.fromhex(_hash(value["chain"]["last_leaf"])),
            entries=_count(value["entries"]),
            totals=_parse_totals(value["totals"]),
            objects=tuple(_parse_object(item) for item in value["objects"]),
            cutoff=_text(value["cutoff"]),
            created_at=_text(value["created_at"]),
            registry_version=_count(value["key_registry"]["version"]),
            registry_sha256=_hash(value["key_registry"]["sha256"]),
            software={_text(name): _text(text) for name, text in value["software"].items()},
            assurance=_text(value["assurance"]),
            consistency=tuple(decode_hash(item) for item in value["tree"]["consistency"]),
        )
        listed = [item.name for item in found.objects]
        if len(set(listed)) != len(listed) or not set(listed) <= {*FILES, *OPTIONAL_FILES} - {MANIFEST_FILE}:
            raise ValueError("it lists a file twice, or one that a segment does not have")
        agrees = (
            frontier.size == found.first_seq
            and frontier.root() == decode_hash(before["root"])
            and _count(value["tree"]["after"]["size"]) == found.next_seq >= found.first_seq
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"the manifest is malformed: {error}.", remedy=_REMEDY) from error
    if not agrees:
        raise InvalidInput("the manifest's sizes, frontier and roots contradict each other.", remedy=_REMEDY)
    return found


_REMEDY = "See docs/formats/segment.md."


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _previous_as_json(previous: Previous) -> dict[str, Any]:
    return {
        "manifest_sha256": previous.manifest_sha256,
        "segment": previous.segment,
        "version_id": previous.version_id,
    }


def _parse_previous(value: Mapping[str, Any]) -> Previous:
    version_id = value["version_id"]
    return Previous(
        segment=_count(value["segment"]),
        manifest_sha256=_hash(value["manifest_sha256"]),
        version_id=None if version_id is None else _text(version_id),
    )


def _parse_object(value: Mapping[str, Any]) -> StoredFile:
    content_sha256 = value.get("content_sha256")
    return StoredFile(
        name=_text(value["name"]),
        bytes=_count(value["bytes"]),
        sha256=_hash(value["sha256"]),
        content_bytes=_count(value["content_bytes"]) if "content_bytes" in value else None,
        content_sha256=None if content_sha256 is None else _hash(content_sha256),
        lines=_count(value["lines"]) if "lines" in value else None,
        version_id=_text(value["version_id"]) if "version_id" in value else None,
    )


def _parse_totals(items: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for item in items:
        sums, currency = (item["debits"], item["credits"]), _text(item["currency"])
        if not all(type(text) is str and _DIGITS.match(text) for text in sums):
            raise ValueError("a total is a string of digits")
        if currency in found:
            raise ValueError("it has two totals of one currency")
        found[currency] = int(sums[0]), int(sums[1])
    return found


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r:.40} is not a count")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _matching(value: Any, pattern: re.Pattern[str]) -> str:
    if type(value) is not str or pattern.match(value) is None:
        raise TypeError(f"{value!r:.80} is not allowed here")
    return value


def _day(value: Any) -> date:
    """Return a date from its one form: `fromisoformat` alone takes weeks, and days without dashes."""
    found = date.fromisoformat(value)
    if found.isoformat() != value:
        raise ValueError(f"{value!r:.40} is not a day such as 2026-10-31")
    return found


def _hash(value: Any) -> str:
    if type(value) is not str or _SHA256.match(value) is None:
        raise TypeError(f"{value!r:.80} is not a SHA-256 in hex")
    return value
