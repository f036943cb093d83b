"""A record as those outside see it: a CloudEvent whose data are the record's own bytes.

Source: CloudEvents 1.0, its extension `sequence`, and the binary mode of its Kafka protocol binding, which leaves the
data as they are. So a consumer can hash what it got and have it proven by the log. Invariant: `source` and `id` name a
record for ever, and the same record is the same event however often it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

TYPE_PREFIX = "counterfoil."
"""An event's type is this, the record's kind and the version of the record's shape."""
CONTENT_TYPE = "application/json"
MAX_BATCH_BYTES = 16 * 1024 * 1024

_READ = """
select seq, canonical
from (
    select seq, canonical, sum(octet_length(canonical)) over (order by seq) - octet_length(canonical) as bytes_before
    from ledger.records
    where book = %s and seq >= %s and seq < %s
) as numbered
where bytes_before < %s
order by seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A signed record on its way out."""

    book: str
    origin: str
    seq: int
    kind: str
    record_id: str
    recorded_at: str
    version: str
    """Of the shape of records, say `1`."""
    data: bytes
    """The record's canonical bytes, as the log holds them."""

    @property
    def attributes(self) -> dict[str, str]:
        """Its context attributes, by their names in CloudEvents."""
        return {
            "specversion": "1.0",
            "id": str(self.seq),
            "source": self.origin,
            "type": f"{TYPE_PREFIX}{self.kind}.v{self.version}",
            "subject": self.record_id,
            "time": self.recorded_at,
            "datacontenttype": CONTENT_TYPE,
            # Digits of one width sort as numbers do, which the extension asks for.
            "sequence": f"{self.seq:016d}",
            "partitionkey": self.book,
        }

    def as_json(self) -> dict[str, Any]:
        """Return it in CloudEvents' structured mode."""
        return {**self.attributes, "data": orjson.Fragment(self.data)}


def event_of(book: str, origin: str, seq: int, canonical: bytes) -> Event:
    """Return the event that tells of a record of `origin`."""
    record = orjson.loads(canonical)
    return Event(
        book=book,
        origin=origin,
        seq=seq,
        kind=record["kind"],
        record_id=record["id"],
        recorded_at=record["recorded_at"],
        version=record["schema"].rpartition("/")[2],
        data=bytes(canonical),
    )


def read_events(
    connection: psycopg.Connection[Any], book: str, origin: str, first: int, end: int, *, limit: int
) -> list[Event]:
    """Return the events of records [first, end), at most `limit`, and of `MAX_BATCH_BYTES` or one record."""
    rows = connection.execute(_READ, [book, first, min(end, first + limit), MAX_BATCH_BYTES], binary=True).fetchall()
    return [event_of(book, origin, seq, canonical) for seq, canonical in rows]
