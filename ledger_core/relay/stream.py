"""The archive as a destination: what was recorded in the last minute, before the night's segment has it.

Objects `<origin>/stream/<first>-<next>.jsonl.gz`: the canonical bytes of records [first, next), a line each, `next`
being the first that is not in it; numbers have 16 digits, so names sort as the log does. No signature stands in them:
whoever reads them holds them against a checkpoint. After a crash a range may begin where another did and reach
further: parts overlap at times, and never leave a gap. What lies there is not believed, for others may write there too:
the cursor alone says how far the stream has come.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger_core.errors import IntegrityError
from ledger_core.log.object_tree import STREAM_FOLDER
from ledger_core.relay.events import Event

if TYPE_CHECKING:
    from ledger_core.base.objects.port import ObjectStore

GATHER_SECONDS = 45.0
"""With the turn and the writing, a record is in the archive a minute after it was signed."""


class StreamDestination:
    """The stream of the archive in `store`."""

    name = "archive"
    wait_seconds = GATHER_SECONDS
    batch_records = 10_000

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def publish(self, events: Sequence[Event]) -> None:
        """Write `events` as one object. Raises as the store does, `DependencyError` where it is away."""
        first, end = events[0].seq, events[-1].seq + 1
        lines = b"".join(event.data + b"\n" for event in events)
        name = stream_name(events[0].origin, first, end)
        try:
            # Without the time of writing, so that the same records are the same bytes.
            self._store.put_own(name, gzip.compress(lines, mtime=0))
        except IntegrityError:
            # In a folder: another release compressed it otherwise, and was ended before it noted so.
            if not _holds(self._store, name, lines):
                raise

    def close(self) -> None:
        """Nothing is held."""


def stream_name(origin: str, first: int, end: int) -> str:
    """Return the name of the object that holds records [first, end) of `origin`."""
    return f"{origin}/{STREAM_FOLDER}/{first:016d}-{end:016d}.jsonl.gz"


def _holds(store: ObjectStore, name: str, lines: bytes) -> bool:
    try:
        with store.open(name) as source, gzip.GzipFile(fileobj=source) as stored:
            return stored.read(len(lines) + 1) == lines
    except (OSError, EOFError, zlib.error):
        return False
