"""Compressed records, unfolded into blocks of whole lines with their leaf hashes: in this process or in a second one.

Unfolding and hashing are more than half the work of verifying, and nothing in them depends on what the records say.
So where there is a second core and much to read, a second process runs this module, and this one judges what it
unfolds. Both run the same code over the same file: what is found is the same, and where the second process cannot be
had or dies, the first takes over in the middle. It needs the standard library alone, so that it starts quickly.

A small file that claims to unfold into terabytes unfolds no further than it may, a quarter of a megabyte at a time; a
line longer than a record can be ends the reading. Damage is a result, never an exception.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from ledger_core.log.findings import EDITED, MISSING, TRUNCATED
from ledger_core.log.merkle import HASH_BYTES, leaf_hashes_of
from ledger_core.log.record import MAX_RECORD_BYTES

CHUNK_BYTES = 64 * 1024
"""Stored bytes at a time: records unfold to some five times that, which stays in the processor's cache with all that
is made of it. A quarter as many cost a record a tenth more, of what is done once a block."""
KEPT_BYTES = 4 * 1024 * 1024
"""More than a block and what is made of it: see `_keep_memory`."""
UNFOLDED_BYTES = 1024 * 1024
MAX_BLOCK_LINES = 4_096
"""A megabyte holds some three thousand of the shortest entries: of more lines than this, most are no records."""
SMALLEST_FILE_BYTES = 2 * 1024 * 1024
"""Below that the second process costs more than it brings."""
PIPE_BYTES = 1024 * 1024
"""What the pipe holds where that can be said: a few blocks, so that neither process waits for the other."""
_GZIP = 31
_HEAD = struct.Struct("<cII")
_BLOCK, _END = b"B", b"E"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines with their newlines: how many, and the leaf hashes of all, one after another.

    `hashes` is None where there are so many lines that they are to be taken a few at a time.
    """

    data: bytes
    count: int
    hashes: bytes | None

    @property
    def has_long_line(self) -> bool:
        """Say whether a line is longer than a record can be."""
        # Such a line covers one at least of the places that lie so far from each other.
        for at in range(MAX_RECORD_BYTES, len(self.data), MAX_RECORD_BYTES):
            start, end = self.data.rfind(b"\n", 0, at) + 1, self.data.find(b"\n", at)
            if end - start > MAX_RECORD_BYTES:
                return True
        return False

    def lines(self) -> list[bytes]:
        """Return the lines without their newlines."""
        found = self.data.split(b"\n")
        found.pop()
        return found


class Unfolding:
    """Iterate over the blocks of one gzip file; afterwards `problem` says how it ended: None, or (verdict, detail)."""

    def __init__(self, file: BinaryIO, room_bytes: int) -> None:
        self._file = file
        self._room = room_bytes
        self._hash = sha256()
        self.stored_bytes = 0
        self.content_bytes = 0
        self.problem: tuple[str, str] | None = None

    @property
    def stored_sha256(self) -> str:
        """The hex SHA-256 of what was read of the stored file."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Block]:
        _keep_memory()
        rest = b""
        try:
            for unfolded in self._unfold():
                end = unfolded.rfind(b"\n") + 1
                # One copy, and nothing kept beside it: the less there is, the more of it stays in the cache.
                data = b"".join((rest, memoryview(unfolded)[:end])) if end else b""
                rest = unfolded[end:] if end else rest + unfolded
                del unfolded
                if data:
                    self.content_bytes += len(data)
                    yield _block_of(data)
                if len(rest) > MAX_RECORD_BYTES:
                    self.problem = (EDITED, f"a line is longer than {MAX_RECORD_BYTES} bytes")
                    return
        except OSError as error:
            self.problem = (MISSING, f"it cannot be read: {error.strerror}")
        except zlib.error as error:
            self.problem = (EDITED, f"the compressed data is damaged: {error}")
        if self.problem is None and rest:
            self.problem = (TRUNCATED, "the last line has no end")

    def _unfold(self) -> Iterator[bytes]:
        unzip = zlib.decompressobj(_GZIP)
        while chunk := self._file.read(CHUNK_BYTES):
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


def open_file(path: Path) -> BinaryIO:
    """Open the regular file at `path`, through links too. Raises `OSError` for anything else, and never waits."""
    # Looked at before it is opened, because opening a device can do something; and again after, for whoever swaps it.
    if stat.S_ISREG(path.stat().st_mode):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


class Gone(Exception):
    """The second process cannot be had, or is no more."""


@dataclass(slots=True)
class Unfolded:
    """How a file ended that the second process read."""

    stored_bytes: int = 0
    stored_sha256: str = ""
    content_bytes: int = 0
    problem: tuple[str, str] | None = None


class SecondProcess:
    """A process of our own that unfolds one file after another; started when first asked, ended by `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def pays(path: Path) -> bool:
        """Say whether `path` is a file on a disk that is large enough, and there is a core to read it beside."""
        try:
            return path.stat().st_size >= SMALLEST_FILE_BYTES and cores() > 1
        except OSError:
            return False

    def unfold(self, path: Path, room_bytes: int, ended: Unfolded) -> Iterator[Block]:
        """Yield the blocks of the file at `path` and write into `ended` how it ended. Raises `Gone`."""
        try:
            _keep_memory()
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            question = {"path": os.fsencode(os.path.abspath(path)).hex(), "room_bytes": room_bytes}  # noqa: PTH100
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            while True:
                kind, size, count = _HEAD.unpack(_exactly(process.stdout, _HEAD.size))
                if kind == _END:
                    answer = json.loads(_exactly(process.stdout, size))
                    break
                hashes = _exactly(process.stdout, HASH_BYTES * count) if count <= MAX_BLOCK_LINES else None
                data = _exactly(process.stdout, size)
                yield Block(data=data, count=count, hashes=hashes)
        except (OSError, ValueError, struct.error) as error:
            self.close()
            raise Gone from error
        except GeneratorExit:
            # The reader has seen enough, and the rest of this file stands in the pipe.
            self.close()
            raise
        ended.stored_bytes, ended.stored_sha256 = answer["stored_bytes"], answer["stored_sha256"]
        ended.content_bytes = answer["content_bytes"]
        ended.problem = None if answer["problem"] is None else (answer["problem"][0], answer["problem"][1])

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            if not sys.executable:
                raise OSError(errno.ENOENT, "no interpreter is known")
            # -I and -S: nothing of the caller's environment or working directory is imported, and it starts quickly.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CHILD, str(Path(__file__).parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            _widen(self._process.stdout)
        return self._process


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions, one a line, until there are no more: what the second process does."""
    for line in questions:
        question: dict[str, Any] = json.loads(line)
        path = Path(os.fsdecode(bytes.fromhex(question["path"])))
        try:
            with open_file(path) as file:
                reading = Unfolding(file, question["room_bytes"])
                for block in reading:
                    answers.write(_HEAD.pack(_BLOCK, len(block.data), block.count))
                    answers.write(block.hashes or b"")
                    answers.write(block.data)
                    answers.flush()
                ended = Unfolded(reading.stored_bytes, reading.stored_sha256, reading.content_bytes, reading.problem)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                return
            ended = Unfolded(0, sha256().hexdigest(), 0, (MISSING, f"it cannot be read: {error.strerror}"))
        answer = json.dumps(asdict(ended)).encode()
        answers.write(_HEAD.pack(_END, len(answer), 0) + answer)
        answers.flush()


_CHILD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path.append(sys.argv[1])
from ledger_core.log.unfolding import serve
serve(sys.stdin.buffer, sys.stdout.buffer)
"""
"""Ctrl-C reaches both; the first process ends, and with it the questions. What is installed comes last."""


def _keep_memory() -> None:
    """Have the memory of one block kept for the next.

    Glibc gives what is larger than anything it saw freed back to the system, which clears it before it is had again: a
    twentieth of the time of unfolding. So it is shown something larger, once (mallopt(3), M_MMAP_THRESHOLD).
    """
    bytes(KEPT_BYTES)


def _block_of(data: bytes) -> Block:
    hashes = leaf_hashes_of(data, MAX_BLOCK_LINES)
    count = data.count(b"\n") if hashes is None else len(hashes) // HASH_BYTES
    return Block(data=data, count=count, hashes=hashes)


def _exactly(pipe: Any, size: int) -> bytes:
    data: bytes = pipe.read(size)
    if len(data) != size:
        raise OSError(errno.EPIPE, "the second process is gone")
    return data


def _widen(pipe: Any) -> None:
    try:
        from fcntl import F_SETPIPE_SZ, fcntl  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return
    with suppress(OSError):
        fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
