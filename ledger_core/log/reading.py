"""Reading what may be damaged or hostile: bounded regular files, bounded JSON, compressed lines in constant memory.

A small file that claims to unfold into terabytes unfolds no further than its manifest says, a quarter of a megabyte
at a time; a line longer than a record can be ends the reading. A pipe or a device is never opened, and a JSON text
whose values would take many times its own size in memory is never parsed. Damage is a result, never an exception.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from ledger_core.log.findings import EDITED, MISSING, TRUNCATED
from ledger_core.log.object_tree import ObjectPlace, Place
from ledger_core.log.record import MAX_RECORD_BYTES

CHUNK_BYTES = 32 * 1024
"""Stored bytes at a time: records unfold to some five times that, which stays in the processor's cache."""
UNFOLDED_BYTES = 1024 * 1024
MAX_CONTENT_BYTES = 2**44
"""16 TiB: where no manifest says how much there is."""
SLACK_BYTES = 1024 * 1024
"""How much more than the manifest says is looked at, so that inserted records can be named."""
UNSIGNED_RATIO = 64
"""How many bytes a stored byte may unfold to where nothing signed says how many; records unfold to some five."""
FREE_VALUES = 10_000
BYTES_PER_VALUE = 8
"""JSON of ours has twenty bytes and more to a value. A value takes some sixty in memory, whatever it is written as."""
_GZIP = 31


class LineReader:
    """Iterate over batches of lines of the gzip file at `path`; afterwards `problem` says how it ended.

    `problem` is None or (verdict, detail). `stored_bytes` and `stored_sha256` describe the file as stored.
    """

    def __init__(self, path: Place, *, max_content_bytes: int | None = None) -> None:
        self._path = path
        self._room = MAX_CONTENT_BYTES if max_content_bytes is None else max_content_bytes + SLACK_BYTES
        self._hash = sha256()
        self._rest = b""
        self.stored_bytes = 0
        self.problem: tuple[str, str] | None = None

    @property
    def stored_sha256(self) -> str:
        """The hex SHA-256 of what was read of the stored file."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[list[bytes]]:
        # Unfolding one block ahead on a second thread was measured: waiting for the interpreter's lock made it three
        # times slower.
        try:
            for block in self._blocks():
                lines = (self._rest + block).split(b"\n")
                self._rest = lines.pop()
                if lines:
                    yield lines
                if len(self._rest) > MAX_RECORD_BYTES:
                    self.problem = (EDITED, f"a line is longer than {MAX_RECORD_BYTES} bytes")
                    return
        except OSError as error:
            self.problem = (MISSING, f"it cannot be read: {error.strerror}")
        except zlib.error as error:
            self.problem = (EDITED, f"the compressed data is damaged: {error}")
        if self.problem is None and self._rest:
            self.problem = (TRUNCATED, "the last line has no end")

    def _blocks(self) -> Iterator[bytes]:
        unzip = zlib.decompressobj(_GZIP)
        with open_regular(self._path) as file:
            while chunk := file.read(CHUNK_BYTES):
                self._hash.update(chunk)
                self.stored_bytes += len(chunk)
                while chunk and not unzip.eof:
                    block = unzip.decompress(chunk, UNFOLDED_BYTES)
                    chunk = unzip.unconsumed_tail
                    self._room -= len(block)
                    if self._room < 0:
                        self.problem = (EDITED, "it unfolds to more bytes than the manifest says")
                        return
                    yield block
                if unzip.eof and (chunk or unzip.unused_data):
                    self.problem = (EDITED, "there is data after the end of the compressed stream")
                    return
        if not unzip.eof:
            self.problem = (TRUNCATED, "the compressed stream ends early")


def open_regular(path: Place) -> BinaryIO:
    """Open the regular file at `path`, through links too. Raises `OSError` for anything else, and never waits.

    Of an object in a bucket it opens the version that counts; a bucket that does not answer is no `OSError`, and says
    nothing of what is in it.
    """
    if isinstance(path, ObjectPlace):
        return path.open()
    # Looked at before it is opened, because opening a device can do something; and again after, for whoever swaps it.
    if stat.S_ISREG(path.stat().st_mode):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_bounded(path: Place, limit_bytes: int) -> bytes | None:
    """Return the content of a small file, or None where `why_unread` has something to say."""
    try:
        with open_regular(path) as file:
            data = file.read(limit_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= limit_bytes else None


def why_unread(path: Place, limit_bytes: int) -> str:
    """Return why `read_bounded` gave nothing."""
    try:
        with open_regular(path):
            return f"it has more than {limit_bytes:,} bytes"
    except FileNotFoundError as error:
        return "it is not there" if isinstance(path, Path) else str(error.strerror)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def unsigned_content_bytes(path: Place) -> int:
    """Return how far the compressed file at `path` is unfolded when nothing signed says how much it holds."""
    try:
        stored = path.size_bytes() if isinstance(path, ObjectPlace) else path.stat().st_size
        return min(stored * UNSIGNED_RATIO, MAX_CONTENT_BYTES)
    except OSError:
        return 0


def load_json(data: bytes | str, *, max_values: int | None = None) -> Any:
    """Return the JSON value in `data`. Raises `ValueError` for anything else, and for more values than it may hold.

    Without `max_values` a text may hold one value to eight bytes, beyond the first ten thousand.
    """
    limit = FREE_VALUES + len(data) // BYTES_PER_VALUE if max_values is None else max_values
    if count_values(data) > limit:
        raise ValueError(f"it holds more than {limit:,} values")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def count_values(data: bytes | str) -> int:
    """Return at least the number of values in a JSON text, without parsing it; marks inside texts count too."""
    if isinstance(data, str):
        return sum(map(data.count, "[{,"))
    return sum(map(data.count, (b"[", b"{", b",")))
