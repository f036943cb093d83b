"""What the witness signed last, in a database of its own that the ledger cannot write.

Every advance is a compare-and-swap, durable before it returns (`synchronous = full`), so that two proxies on one
state cannot sign two histories, and a proxy killed at any moment has stored whatever it may have signed. Whoever can
edit or roll back this file can have a split view signed: it stands in the proxy's own folder (0700), beside the key.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ledger_core.errors import ConfigurationError
from ledger_core.log.note import Checkpoint

_SCHEMA = """
create table if not exists checkpoints (
    origin text primary key,
    size integer not null check (size > 0),
    root blob not null check (length(root) = 32)
) strict
"""


class WitnessState:
    """The last checkpoint of each log. Not safe for threads at once: the service holds a lock around it."""

    def __init__(self, path: Path, *, create: bool) -> None:
        mode = "rwc" if create else "rw"
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma busy_timeout = 5000")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"the witness state cannot be opened: {error}.",
                file=str(path),
                remedy="Restore it together with the key; without it the proxy cannot know what it signed.",
            ) from error
        path.chmod(0o600)

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint stored for `origin`."""
        row = self._db.execute("select size, root from checkpoints where origin = ?", (origin,)).fetchone()
        return None if row is None else Checkpoint(origin, row[0], row[1])

    def origins(self) -> list[str]:
        """Return the logs of which anything was signed."""
        return [row[0] for row in self._db.execute("select origin from checkpoints order by origin")]

    def swap(self, last: Checkpoint | None, new: Checkpoint) -> bool:
        """Store `new` durably if `last` is still what is stored; say whether it was."""
        if last is None:
            done = self._db.execute(
                "insert into checkpoints values (?, ?, ?) on conflict do nothing", (new.origin, new.size, new.root)
            )
        else:
            done = self._db.execute(
                "update checkpoints set size = ?, root = ? where origin = ? and size = ? and root = ?",
                (new.size, new.root, new.origin, last.size, last.root),
            )
        return done.rowcount == 1

    def close(self) -> None:
        """Close the database."""
        self._db.close()
