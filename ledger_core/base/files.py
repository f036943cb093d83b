"""Files that appear whole or not at all and survive the loss of power, and folders that are their owner's alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger_core.errors import ConfigurationError

PRIVATE_UMASK = 0o077
"""Under which whatever is written in a home is its owner's alone."""
PRIVATE_FOLDER = 0o700


def private_folder(path: Path, *, mode: int = PRIVATE_FOLDER) -> Path:
    """Make `path` with `mode`, or give that mode to a folder of ours that stands there; return it.

    Folders above it that are lacking are made by the caller's umask, as `mkdir -p` makes them. A folder of another user
    is left as it is: it is theirs to close.
    """
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    stands = path.stat()
    if stands.st_uid == os.geteuid() and stands.st_mode & 0o777 != mode:
        path.chmod(mode)
    return path


@contextmanager
def private_umask() -> Iterator[None]:
    """Write files for their owner alone while this lasts; it is the process's, so one that serves sets it once."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def write_once(path: Path, data: bytes, *, mode: int) -> None:
    """Write `data` to `path` with `mode`, durably; an existing file is replaced in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # By the name that its caller knows.
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def unusable(error: OSError) -> ConfigurationError:
    """Return in a sentence what a file, a folder or a device answered, for the edge of a program."""
    return ConfigurationError(
        f"it cannot be used: {error.strerror or error}.",
        file=None if error.filename is None else os.fsdecode(error.filename),
        remedy="Is it there, is it of the right kind, and may this user use it?",
    )


def sync_folder(path: Path) -> None:
    """Have on disk which files `path` holds under which names."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
