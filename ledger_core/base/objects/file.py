"""Objects as files: the embedded default.

It stops accidents (read-only, no replace); against an owner of the disk only the signed chain of manifests helps.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from ledger_core.base.objects.port import LOCK_SLACK, StoredObject, StoredVersion, Surveyed, name_parts
from ledger_core.errors import IntegrityError, NotFound

COPY_BYTES = 1024 * 1024
STALE_SECONDS = 24 * 3600
"""A temporary file this old belongs to a writer that was killed."""

_INCOMING = ".incoming"


class FileStore:
    """Objects as read-only files under `root`, for those to read whom `mode` names; folders let the same through.

    A file is written aside, flushed to disk, and only then linked to its name: `link` never replaces, and a
    reader never sees half an object.
    """

    def __init__(self, root: Path, *, mode: int = 0o400) -> None:
        self.root = root
        self._mode = mode
        self._folder_mode = 0o700 | mode | (mode & 0o044) >> 2
        self._swept = False

    @property
    def keeps_versions(self) -> bool:
        """Return False: a file is one."""
        return False

    @property
    def uri(self) -> str:
        """Return `file:///...`, without a slash at the end."""
        return self.root.absolute().as_uri()

    def path(self, name: str) -> Path:
        """Return where `name` lies.

        Raises `InvalidInput` for a name that could leave the store or hide in it.
        """
        return self.root.joinpath(*name_parts(name))

    def put_once(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` as `name`, durably, once; see `ObjectStore.put_once`."""
        target = self.path(name)
        aside, sha256, size_bytes = self._write_aside(data)
        try:
            self._make_folder(target.parent)
            created = _link(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        if created:
            _flush_folder(target.parent)
        else:
            stored_sha256, stored_bytes = _digest(target)
            if stored_sha256 != sha256:
                raise IntegrityError(
                    f"object {name} exists with other content: {stored_bytes} bytes of sha256 "
                    f"{stored_sha256}; refused {size_bytes} bytes of sha256 {sha256}.",
                    remedy="Objects are written once. Find out who wrote the first one before anything else.",
                    file=str(target),
                )
        return StoredObject(name=name, uri=f"{self.uri}/{name}", sha256=sha256, size_bytes=size_bytes, created=created)

    def put_own(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` as `put_once` does: a file has one version."""
        return self.put_once(name, data)

    def kept(self, name: str, *, slack: timedelta = LOCK_SLACK) -> Iterator[StoredVersion]:
        """Yield the file."""
        del slack
        yield from self.versions(name)

    def versions(self, name: str) -> Sequence[StoredVersion]:
        """Return the file, as its one version."""
        return [_version(self.path(name))] if self.exists(name) else []

    def open(self, name: str, version_id: str | None = None) -> BinaryIO:
        """Open an object for reading. Raises `NotFound`."""
        del version_id
        try:
            return self.path(name).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"object {name} is not in {self.uri}.") from error

    def exists(self, name: str) -> bool:
        """Say whether `name` is stored."""
        return self.path(name).is_file()

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix` and come behind `after`, in order of the whole name."""
        folder = self.path(prefix.rpartition("/")[0]) if "/" in prefix else self.root
        found = (path.relative_to(self.root).as_posix() for path in folder.rglob("*") if path.is_file())
        yield from sorted(
            name for name in found if name.startswith(prefix) and name > after and not name.startswith(".")
        )

    def version_of(self, name: str) -> str | None:
        """Return None: a file has no versions."""
        if not self.exists(name):
            raise NotFound(f"object {name} is not in {self.uri}.")
        return None

    def written_at(self, name: str) -> datetime:
        """Return the file's time. Raises `NotFound`."""
        if not self.exists(name):
            raise NotFound(f"object {name} is not in {self.uri}.")
        return datetime.fromtimestamp(self.path(name).stat().st_mtime, UTC)

    def survey(self, prefix: str = "") -> Iterator[Surveyed]:
        """Yield the files whose names start with `prefix`."""
        for name in self.list(prefix):
            with suppress(OSError):  # gone since
                yield name, [_version(self.root / name)], []

    def foreign(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield nothing: what was done to a file leaves no trace but its content."""
        del prefix
        return iter(())

    def place(self, name: str) -> Path:
        """Return the path of `name`."""
        return self.path(name) if name else self.root

    def sweep(self, folder: str) -> None:
        """Remove empty folders below `folder`; see `ObjectStore.sweep`."""
        for parent, _, _ in os.walk(self.path(folder), topdown=False):
            with suppress(OSError):  # it holds something
                Path(parent).rmdir()

    def _write_aside(self, data: bytes | Path) -> tuple[Path, str, int]:
        """Write `data` to a flushed read-only file aside; return it, its sha256 and its size."""
        incoming = self.root / _INCOMING
        self._make_folder(incoming)
        self._sweep_incoming(incoming)
        digest, size_bytes = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(dir=incoming)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as sink:
                for chunk in _chunks(data):
                    digest.update(chunk)
                    size_bytes += len(chunk)
                    sink.write(chunk)
                sink.flush()
                os.fchmod(sink.fileno(), self._mode)
                os.fsync(sink.fileno())
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return aside, digest.hexdigest(), size_bytes

    def _make_folder(self, folder: Path) -> None:
        """Make `folder` and its parents, each one durable before anything is linked below it."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        with suppress(FileExistsError):  # somebody else was first
            folder.mkdir()
            if folder.is_relative_to(self.root):
                folder.chmod(self._folder_mode)
        _flush_folder(folder.parent)

    def _sweep_incoming(self, incoming: Path) -> None:
        """Remove what killed writers left, once in the life of this store."""
        if self._swept:
            return
        self._swept = True
        for path in incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


def _version(path: Path) -> StoredVersion:
    found = path.stat()
    written_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredVersion(version_id=None, size_bytes=found.st_size, written_at=written_at)


def _link(aside: Path, target: Path) -> bool:
    """Give `aside` its name; return False when the name is taken."""
    try:
        os.link(aside, target)
    except FileExistsError:
        return False
    return True


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes


def _chunks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as source:
        while chunk := source.read(COPY_BYTES):
            yield chunk
