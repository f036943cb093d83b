"""Reading what may be damaged or hostile: bounded files, and compressed lines in constant memory.

A small file that claims to unfold into terabytes unfolds no further than its manifest says, a quarter of a megabyte
at a time; a line longer than a record can be ends the reading. Damage is a result, never an exception.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ledger_core.log.findings import EDITED, MISSING, TRUNCATED
from ledger_core.log.record import MAX_RECORD_BYTES

CHUNK_BYTES = 32 * 1024
"""Stored bytes at a time: records unfold to some five times that, which stays in the processor's cache."""
UNFOLDED_BYTES = 1024 * 1024
MAX_CONTENT_BYTES = 2**44
"""16 TiB: where no manifest says how much there is."""
SLACK_BYTES = 1024 * 1024
"""How much more than the manifest says is looked at, so that inserted records can be named."""
_GZIP = 31


class LineReader:
    """Iterate over batches of lines of the gzip file at `path`; afterwards `problem` says how it ended.

    `problem` is None or (verdict, detail). `stored_bytes` and `stored_sha256` describe the file as stored.
    """

    def __init__(self, path: Path, *, max_content_bytes: int | None = None) -> None:
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
        with self._path.open("rb") as file:
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


def read_bounded(path: Path, limit_bytes: int) -> bytes | None:
    """Return the content of a small file, or None if it is not there, not readable or larger than `limit_bytes`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= limit_bytes else None
