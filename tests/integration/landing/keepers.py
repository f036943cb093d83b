"""Landings whose keeper counts and fails when it is told to, and keys as the release before wrapped keys left them."""

from __future__ import annotations

from sqlalchemy import text

from ingest.landing import file_keys
from ingest.landing.file_keys import drop_key
from ingest.landing.stored_bytes import read_stored
from ledger_core.base.wrapping.file import FileWrapper
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.errors import DependencyError

OLDER = (
    "insert into ops.file_keys (file_id, algorithm, key, created_at) values (:file_id, 'AES-256-GCM/1MiB', :key, now())"
)
"""As the release before this one writes a key."""


class Counted:
    """The keys of a home, which fail at the call `fails_at`, and count."""

    def __init__(self, folder, *, fails_at=0, error=None):
        self._wrapper, self.fails_at, self.error = FileWrapper(folder), fails_at, error
        self.wraps = self.unwraps = 0

    @property
    def current(self):
        return self._wrapper.current

    def wrap(self, key, context):
        self.wraps += 1
        if self.wraps == self.fails_at:
            raise self.error
        return self._wrapper.wrap(key, context)

    def unwrap(self, wrapped, context):
        self.unwraps += 1
        return self._wrapper.unwrap(wrapped, context)

    def rotate(self):
        return self._wrapper.rotate()

    def close(self):
        pass


def counted(landing, **told):
    wrapper = Counted(landing.settings.home / "wrapping", **told)
    landing.wrapping = KeyWrapping("file", lambda _: wrapper)
    return wrapper


def away(reason="unreachable"):
    return DependencyError(f"the keeper: {reason}.", reason=reason)


def rows(landing):
    return {row["file_id"]: row for row in landing.rows("select * from ops.file_keys")}


def land_some(landing, tmp_path, count, start=0):
    paths = [landing.report(tmp_path / f"{number}.csv", start=number * 10) for number in range(start, start + count)]
    files = landing.land(*paths)
    assert {file.status for file in files} == {"landed"}
    return {file.file_id: path.read_bytes() for file, path in zip(files, paths, strict=True)}


def make_plain(landing, ids):
    """Put the rows of `ids` as the release before this one left them; return the keys."""
    keys = {file_id: file_keys.open_key(landing, file_id) for file_id in ids}
    with landing.engine.begin() as connection:
        for file_id, key in keys.items():
            connection.execute(text("delete from ops.file_keys where file_id = :id"), {"id": file_id})
            connection.execute(text(OLDER), {"file_id": file_id, "key": key})
    return keys


def contents(landing, files):
    return {file_id: b"".join(read_stored(landing, file_id)) for file_id in files}


def drop(connection, file_id):
    """Drop a key in the transaction of a connection of SQLAlchemy's; return whether there was one."""
    connection.execute(text("select 1"))  # which begins the one that its commit ends
    return drop_key(connection.connection.driver_connection, file_id)
