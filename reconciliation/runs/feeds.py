"""What is expected when, as people set it: `feeds.yaml` in the home, read and judged before a run pins it.

Not the habit of a feed, which the run's SQL reads from its deliveries (`int_feeds`). Invariant: what comes out of here
is whole and sorted, so that the same expectations written otherwise are the same run. Its form: docs/formats/feeds.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, text

from ledger_core.errors import InvalidInput

FEEDS_FILE = "feeds.yaml"
MAX_FEEDS_BYTES = 1 << 20
MAX_FEEDS = 2_000
CADENCES = ("daily", "business_daily", "weekly", "monthly", "on_movement", "on_demand")
DEFAULT_DUE_HOUR = 12
"""Providers publish a day's files in the first hours of the next."""
MAX_DUE_HOUR = 240
"""Ten days after the period: some report with a lag of days, and none that is asked for nightly of weeks."""
MAX_NAME_CHARS = 64

_KEYS = ("source", "account", "record_type", "cadence", "due_hour", "since", "book")
_REMEDY = "docs/formats/feeds.md shows the form; `counterfoil feeds show` what is known of every feed."


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Feed:
    """One feed whose cadence is set; `account` is the one at the provider, or the bank account's IBAN."""

    source: str
    account: str
    record_type: str
    cadence: str
    due_hour: int = DEFAULT_DUE_HOUR
    since: date | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the feed as a pin names it."""
        return {**asdict(self), "since": self.since.isoformat() if self.since else None}


def read_feeds(
    home: Path, *, book: str, default_account: str, known: Mapping[str, tuple[str, ...]]
) -> tuple[Feed, ...]:
    """Return the feeds of `book` that the home's `feeds.yaml` sets; none when there is no such file.

    `known` is the record types of every source. Raises `InvalidInput` with file, line and pointer.
    """
    path = home / FEEDS_FILE
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_FEEDS_BYTES else None
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InvalidInput(
            f"cannot be read: {error.strerror}.", file=str(path), remedy="Check who may read it."
        ) from error
    if data is None:
        raise InvalidInput(f"is larger than {MAX_FEEDS_BYTES} bytes.", file=str(path), remedy=_REMEDY)
    found: dict[tuple[str, str, str, str], Feed] = {}
    for entry in _entries(data, str(path)):
        feed, of_book = _feed(entry, default_account=default_account, default_book=book, known=known)
        key = (of_book, feed.source, feed.account, feed.record_type)
        if key in found:
            raise entry.wrong("source", "is the second entry for this source, account and record type.")
        found[key] = feed
    return tuple(sorted(feed for key, feed in found.items() if key[0] == book))


def known_record_types(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return the record types that each source brings, as its contract declares them."""
    rows = connection.execute(
        text("select source, array_agg(record_type order by record_type) as names from raw.sources group by source")
    )
    return {str(row.source): tuple(row.names) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One item of the list, with the place of each of its values."""

    file: str
    place: int
    line: int
    values: Mapping[str, yaml.ScalarNode]

    def wrong(self, member: str, message: str) -> InvalidInput:
        node = self.values.get(member)
        line = node.start_mark.line + 1 if node is not None else self.line
        return InvalidInput(message, file=self.file, line=line, pointer=f"/feeds/{self.place}/{member}", remedy=_REMEDY)

    def text(self, member: str) -> str | None:
        node = self.values.get(member)
        if node is None:
            return None
        if not node.value or node.tag == "tag:yaml.org,2002:null":
            raise self.wrong(member, "is empty.")
        return str(node.value)


def _entries(data: bytes, file: str) -> Iterator[_Entry]:
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInput("is not UTF-8.", file=file, line=line, remedy="Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = None if mark is None else int(mark.line) + 1
        raise InvalidInput(
            f"is no YAML: {getattr(error, 'problem', error)}.", file=file, line=place, remedy=_REMEDY
        ) from error
    except RecursionError as error:
        raise InvalidInput("is nested too deeply.", file=file, line=1, remedy=_REMEDY) from error
    if root is None:
        return
    pairs = _mapping(root, file, "")
    for name, node in pairs.items():
        if name != "feeds":
            raise InvalidInput(
                f"has the member {name!r}, which nothing reads.",
                file=file,
                line=node.start_mark.line + 1,
                remedy=_REMEDY,
            )
    listed = pairs.get("feeds")
    if not isinstance(listed, yaml.SequenceNode):
        raise InvalidInput("has no list `feeds`.", file=file, line=1, pointer="/feeds", remedy=_REMEDY)
    if len(listed.value) > MAX_FEEDS:
        raise InvalidInput(f"lists more than {MAX_FEEDS} feeds.", file=file, pointer="/feeds", remedy=_REMEDY)
    for place, node in enumerate(listed.value):
        values = _mapping(node, file, f"/feeds/{place}")
        for name, value in values.items():
            if name not in _KEYS or not isinstance(value, yaml.ScalarNode):
                problem = "is one value" if name in _KEYS else f"is none of {', '.join(_KEYS)}"
                raise InvalidInput(
                    f"the member {name!r} {problem}.",
                    file=file,
                    line=value.start_mark.line + 1,
                    pointer=f"/feeds/{place}/{name}",
                    remedy=_REMEDY,
                )
        yield _Entry(file=file, place=place, line=node.start_mark.line + 1, values=values)


def _mapping(node: yaml.Node, file: str, pointer: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise InvalidInput(
            "is no set of members.", file=file, line=node.start_mark.line + 1, pointer=pointer or None, remedy=_REMEDY
        )
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            raise InvalidInput(
                f"has the member {name!r} twice.", file=file, line=key.start_mark.line + 1, remedy=_REMEDY
            )
        found[name] = value
    return found


def _feed(
    entry: _Entry, *, default_account: str, default_book: str, known: Mapping[str, tuple[str, ...]]
) -> tuple[Feed, str]:
    source, record_type, cadence = entry.text("source"), entry.text("record_type"), entry.text("cadence")
    account, book = entry.text("account") or default_account, entry.text("book") or default_book
    if source is None or source not in known:
        raise entry.wrong("source", f"{source!r} is no source; there are {', '.join(sorted(known))}.")
    if record_type is None or record_type not in known[source]:
        raise entry.wrong("record_type", f"{record_type!r} is none of {source}'s: {', '.join(known[source])}.")
    if cadence not in CADENCES:
        raise entry.wrong("cadence", f"{cadence!r} is no cadence; there are {', '.join(CADENCES)}.")
    for member, value in (("account", account), ("book", book)):
        if len(value) > MAX_NAME_CHARS or not value.isprintable():
            raise entry.wrong(member, f"names no {member}: at most {MAX_NAME_CHARS} printable characters.")
    feed = Feed(
        source=source,
        account=account,
        record_type=record_type,
        cadence=cadence,
        due_hour=_due_hour(entry),
        since=_since(entry),
    )
    return feed, book


def _due_hour(entry: _Entry) -> int:
    written = entry.text("due_hour")
    if written is None:
        return DEFAULT_DUE_HOUR
    if not (written.isascii() and written.isdigit() and len(written) <= 3 and int(written) <= MAX_DUE_HOUR):
        raise entry.wrong("due_hour", f"{written!r} is no hour from 0 to {MAX_DUE_HOUR}.")
    return int(written)


def _since(entry: _Entry) -> date | None:
    written = entry.text("since")
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise entry.wrong("since", f"{written!r} is no day such as 2026-10-01.") from error
