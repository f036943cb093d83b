"""What the witness signed last, in a database of its own that the ledger cannot write.

One file holds it whole: no write-ahead log, which a copy of the file would leave behind. Every advance is a
compare-and-swap, durable before it returns (`synchronous = full`), so that two proxies on one state cannot sign two
histories, and a proxy killed at any moment has stored whatever it may have signed. Each advance has a number, the
`generation`, by which an older copy is told (`signing.last_use`), and the file names the key that it belongs to.
Whoever can edit this file can have a split view signed: it stands in the proxy's own folder (0700), beside the key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import Checkpoint
from ledger_core.signing.last_use import LastUse

VERSION = 2
_UNVERSIONED = 0
"""What the first form of the file says: checkpoints without generation and without the key's name."""

_SCHEMA = f"""
create table checkpoints (
    origin text primary key,
    size integer not null check (size > 0),
    root blob not null check (length(root) = 32),
    -- In the row, and not beside it: a copy that is torn between two pages cannot have a new number on an old size.
    generation integer not null default 0
) strict;
create table owner (one integer primary key check (one = 1), key_id text not null) strict;
pragma user_version = {VERSION};
"""
_UPGRADE = f"""
alter table checkpoints add column generation integer not null default 0;
create table owner (one integer primary key check (one = 1), key_id text not null) strict;
pragma user_version = {VERSION};
"""
_INSERT = """
insert into checkpoints values (?, ?, ?, (select coalesce(max(generation), 0) + 1 from checkpoints))
on conflict do nothing
"""
_UPDATE = """
update checkpoints
set size = ?, root = ?, generation = (select coalesce(max(generation), 0) + 1 from checkpoints)
where origin = ? and size = ? and root = ?
"""


class WitnessState:
    """The last checkpoint of each log. Not safe for threads at once: the service holds a lock around it."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open the state at `path`. Raises `ConfigurationError` for what is no state, or an empty one."""
        self._path = path
        self._last_use: LastUse | None = None
        try:
            mode = "rwc" if create else "rw"
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
            self._prepare(create)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(f"it cannot be opened: {error}") from error
        path.chmod(0o600)

    @property
    def generation(self) -> int:
        """How many times anything was stored in this state."""
        return int(self._run("select coalesce(max(generation), 0) from checkpoints").fetchone()[0])

    @property
    def owner(self) -> str | None:
        """The key that the state belongs to, None before it is bound to one."""
        row = self._run("select key_id from owner").fetchone()
        return None if row is None else str(row[0])

    def bind(self, key_id: str, last_use: Callable[[], LastUse]) -> None:
        """Let the state belong to `key_id` for good, and each advance be noted in what `last_use` opens."""
        self._run("insert into owner values (1, ?) on conflict do nothing", (key_id,))
        assert self.owner == key_id, "the state of another key"
        self._last_use = last_use()

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint stored for `origin`."""
        row = self._run("select size, root from checkpoints where origin = ?", (origin,)).fetchone()
        return None if row is None else Checkpoint(origin, row[0], row[1])

    def sizes(self) -> dict[str, int]:
        """Return the size signed last of each log of which anything was signed."""
        return dict(self._run("select origin, size from checkpoints order by origin").fetchall())

    def origins(self) -> list[str]:
        """Return the logs of which anything was signed."""
        return list(self.sizes())

    def swap(self, last: Checkpoint | None, new: Checkpoint) -> bool:
        """Store `new` durably if `last` is still what is stored; say whether it was."""
        if last is None:
            done = self._run(_INSERT, (new.origin, new.size, new.root))
        else:
            done = self._run(_UPDATE, (new.size, new.root, new.origin, last.size, last.root))
        if done.rowcount != 1:
            return False
        if self._last_use is not None:
            self._last_use.note(self.generation, new)
        return True

    def fill(self, checkpoints: Iterable[Checkpoint], *, generation: int) -> None:
        """Store what an operator vouches for in a new state, above `generation`."""
        for place, item in enumerate(checkpoints, start=1):
            self._run(
                "insert into checkpoints values (?, ?, ?, ?)", (item.origin, item.size, item.root, generation + place)
            )

    def close(self) -> None:
        """Close the database."""
        self._db.close()
        if self._last_use is not None:
            self._last_use.close()

    def _prepare(self, create: bool) -> None:
        self._db.execute("pragma busy_timeout = 5000")
        # Of a file that has a write-ahead log yet, this takes what stands in it.
        self._db.execute("pragma journal_mode = delete")
        self._db.execute("pragma synchronous = full")
        (sound,) = self._db.execute("pragma quick_check(1)").fetchone()
        if sound != "ok":
            raise self._unusable(f"it is damaged: {sound}")
        (version,) = self._db.execute("pragma user_version").fetchone()
        tables = {row[0] for row in self._db.execute("select name from sqlite_schema where type = 'table'")}
        if not tables and create:
            self._db.executescript(f"begin;{_SCHEMA}commit;")
        elif version == _UNVERSIONED and tables == {"checkpoints"} and self.sizes():
            self._db.executescript(f"begin;{_UPGRADE}commit;")
        elif version == _UNVERSIONED:
            raise self._unusable("it is empty")
        elif version != VERSION:
            raise self._unusable(f"it has version {version}, this software writes {VERSION}")

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"the witness state cannot be used: {why}.", file=str(self._path), remedy=REMEDY)

    def _run(self, statement: str, arguments: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, arguments)
        except sqlite3.Error as error:
            raise DependencyError(
                f"the witness state does not answer: {error}.", file=str(self._path), remedy="Is the disk full?"
            ) from error


REMEDY = (
    "Restore the newest copy, or give the newest anchored checkpoint of each log to "
    "`python -m ledger_core.signing.recover`: docs/runbooks/signing-state.md."
)
