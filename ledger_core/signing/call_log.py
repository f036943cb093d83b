"""The proxy's own log: a line a call, each with the hash of the one before, in files of bounded size.

A line is JSON with sorted names and no spaces; `prev` is the SHA-256 of the line before, newline included, and goes on
from file to file. What is answered has been written; what is written is not waited for on the disk, call by call (a
loss of power may take the newest lines, and the start after it says so). `calls.head` holds number and hash of the
newest line, so that a cut end is seen. Whoever owns the folder can write all of it anew: numbers and hash in
`/healthz` are for others to keep. `signing.calls` verifies.

Refusals that a stranger can cause without end are counted in one line a second for each client and outcome.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.base.files import write_once
from ledger_core.errors import DependencyError
from ledger_core.log.record import format_time

LOG_FILE = "calls.log"
HEAD_FILE = "calls.head"
MAX_BYTES = 64 * 1024 * 1024
"""Of one file: about 200,000 calls. A full one is called `calls-<number of its first line>.log` and never touched."""
MAX_LINE_BYTES = 16 * 1024
NO_PREV = "0" * 64
COUNTED = frozenset({"rate_limited", "identity"})
COUNT_SECONDS = 1.0
_HEAD_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest line: how many there are, and its hash."""

    lines: int = 0
    hash: str = NO_PREV


class CallLog:
    """The log in one folder, whose lock the process holds. Safe for threads."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Open the log, beginning it where there is none, and write that the proxy started."""
        self._folder, self._clock, self._monotonic, self._max_bytes = folder, clock, monotonic, max_bytes
        self._guard = threading.Lock()
        self._waiting: dict[tuple[str, str, str], int] = {}
        self._counted_at: dict[tuple[str, str, str], float] = {}
        self._handle = self._head_handle = -1
        self._bytes = self._first = 0
        said = read_head(folder)
        self._head, cut = _end_of(folder)
        self._open()
        found: dict[str, Any] = {"cut_bytes": cut} if cut else {}
        if said is not None and said.lines > self._head.lines:
            found["missing_lines"] = said.lines - self._head.lines
        with self._guard:
            self._append({"call": "start", "client": "", "outcome": "ok", "pid": os.getpid(), **found})

    @property
    def head(self) -> Head:
        """The newest line."""
        return self._head

    def write(self, *, client: str, call: str, outcome: str, **more: Any) -> None:
        """Append one line, or count a refusal that follows another within a second. Raises `DependencyError`."""
        with self._guard:
            now = self._monotonic()
            self._write_counted(now, all_of_them=False)
            if outcome in COUNTED:
                key = (client, call, outcome)
                if key in self._counted_at:
                    self._waiting[key] = self._waiting.get(key, 0) + 1
                    return
                self._counted_at[key] = now
            self._append({"client": client, "call": call, "outcome": outcome, **more})

    def close(self) -> None:
        """Write what was only counted, have the log on disk, and let go of it."""
        with self._guard:
            self._write_counted(self._monotonic(), all_of_them=True)
            self._append({"call": "stop", "client": "", "outcome": "ok"})
            # A connection that is still served must not write where another file may have the number.
            handles, self._handle, self._head_handle = (self._handle, self._head_handle), -1, -1
        for handle in handles:
            os.fsync(handle)
            os.close(handle)

    def _write_counted(self, now: float, *, all_of_them: bool) -> None:
        if not self._counted_at:
            return
        for key, since in list(self._counted_at.items()):
            if all_of_them or now - since >= COUNT_SECONDS:
                count = self._waiting.pop(key, 0)
                if count:
                    client, call, outcome = key
                    self._append({"client": client, "call": call, "outcome": outcome, "count": count})
                del self._counted_at[key]

    def _append(self, members: dict[str, Any]) -> None:
        line = line_of(self._head, format_time(self._clock()), members)
        try:
            if self._bytes + len(line) > self._max_bytes and self._bytes:
                self._rotate()
            if os.write(self._handle, line) != len(line):
                os.ftruncate(self._handle, self._bytes)
                raise OSError("only a part of a line was taken")
            self._bytes += len(line)
            self._head = Head(lines=self._head.lines + 1, hash=sha256(line).hexdigest())
            os.pwrite(self._head_handle, _head_bytes(self._head), 0)
        except OSError as error:
            raise DependencyError(
                f"the log of calls takes nothing: {error}.",
                file=str(self._folder / LOG_FILE),
                remedy="Is the disk full? What is not logged is not answered.",
            ) from error

    def _open(self) -> None:
        path = self._folder / LOG_FILE
        self._first = self._head.lines if not path.exists() or path.stat().st_size == 0 else _first_of(path)
        self._handle = self._begin()
        self._bytes = os.fstat(self._handle).st_size
        if not (self._folder / HEAD_FILE).exists():
            write_once(self._folder / HEAD_FILE, _head_bytes(self._head), mode=0o600)
        self._head_handle = os.open(self._folder / HEAD_FILE, os.O_WRONLY)

    def _rotate(self) -> None:
        path, full = self._folder / LOG_FILE, self._folder / f"calls-{self._first:012d}.log"
        if path.exists():
            # Where the first line here is damaged and says another's number, nothing is written over.
            path.rename(full if not full.exists() else self._folder / f"calls-{self._head.lines - 1:012d}.log")
        done, self._handle = self._handle, self._begin()
        self._first, self._bytes = self._head.lines, 0
        os.fsync(done)
        os.close(done)

    def _begin(self) -> int:
        return os.open(self._folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def line_of(head: Head, at: str, members: dict[str, Any]) -> bytes:
    """Return the line that follows `head`."""
    value = {"at": at, "n": head.lines, "prev": head.hash, **members}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def files_of(folder: Path) -> list[Path]:
    """Return the files of the log, oldest first."""
    full = sorted(folder.glob("calls-*.log"))
    return [*full, folder / LOG_FILE] if (folder / LOG_FILE).exists() else full


def read_head(folder: Path) -> Head | None:
    """Return what `calls.head` says, None where it is not there or says nothing."""
    try:
        value = json.loads((folder / HEAD_FILE).read_bytes())
        return Head(lines=int(value["lines"]), hash=str(value["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _end_of(folder: Path) -> tuple[Head, int]:
    """Return the newest whole line, and how many bytes of one that was begun were cut off behind it."""
    for path in reversed(files_of(folder)):
        cut = _cut_unfinished(path)
        last = next(_lines_from_the_end(path), None)
        if last is not None:
            try:
                number = int(json.loads(last)["n"])
            except (ValueError, KeyError, TypeError):
                # Damaged: the log goes on, and its verifier says where it broke.
                number = sum(1 for each in files_of(folder) for _ in each.open("rb")) - 1
            return Head(lines=number + 1, hash=sha256(last).hexdigest()), cut
        if cut:
            return Head(), cut
    return Head(), 0


def _cut_unfinished(path: Path) -> int:
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * MAX_LINE_BYTES)
        file.seek(start)
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole == len(data):
            return 0
        file.truncate(start + whole)
        return len(data) - whole


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * MAX_LINE_BYTES))
        lines = file.read().splitlines(keepends=True)
    yield from reversed(lines)


def _first_of(path: Path) -> int:
    with path.open("rb") as file:
        try:
            return int(json.loads(file.readline(MAX_LINE_BYTES))["n"])
        except (ValueError, KeyError, TypeError):
            return 0


def _head_bytes(head: Head) -> bytes:
    return json.dumps({"hash": head.hash, "lines": head.lines}).encode().ljust(_HEAD_BYTES - 1) + b"\n"
