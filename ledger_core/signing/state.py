"""What the witness signed last, in a file of its own that the ledger cannot write.

One file holds it whole: two slots, of which each advance overwrites the older one and waits once for the disk, so that
a copy of the file, taken at any moment, holds what was signed before. Every advance is a compare-and-swap under a lock,
durable before it returns, so that two proxies on one state cannot sign two histories, and a proxy killed at any moment
has stored whatever it may have signed. Each advance has a number, the `generation`, by which an older copy is told
(`signing.last_use`), and the file names the key that it belongs to. Whoever can edit this file can have a split view
signed: it stands in the proxy's own folder (0700), beside the key.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from ledger_core.base.files import write_once
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import Checkpoint
from ledger_core.signing.last_use import LastUse

SLOT_BYTES = 512 * 1024
"""Room for 1,000 logs with the longest names; an advance writes what is in use, a few hundred bytes."""

_HEAD = b"cf-witness-state/2 "
_HEAD_BYTES = 128
"""Form, generation, length, SHA-256 of number and content; a write that was cut off does not match it."""
_SQLITE = b"SQLite format 3\x00"
"""How the first form of the file begins, whose name this one keeps: backups name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    generation: int = 0
    owner: str | None = None
    logs: dict[str, tuple[int, bytes]] = field(default_factory=dict)


class WitnessState:
    """The last checkpoint of each log. Not safe for threads at once: the service holds a lock around it."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open the state at `path`. Raises `ConfigurationError` for what is no state, or an empty one."""
        self._path = path
        self._last_use: LastUse | None = None
        try:
            if create and (not path.exists() or path.stat().st_size == 0):
                write_once(path, _file_of(_Content()), mode=0o600)
            with path.open("rb") as file:
                first_form = file.read(len(_SQLITE)) == _SQLITE
            if first_form:
                write_once(path, _file_of(_Content(logs=self._of_first_form())), mode=0o600)
            self._handle = os.open(path, os.O_RDWR)
        except OSError as error:
            raise self._unusable(f"it cannot be opened: {error}") from error
        if os.fstat(self._handle).st_size != 2 * SLOT_BYTES:
            size = os.fstat(self._handle).st_size
            os.close(self._handle)
            raise self._unusable("it is empty" if size == 0 else f"it has {size} bytes, not {2 * SLOT_BYTES}")
        try:
            self._read()
        except ConfigurationError:
            os.close(self._handle)
            raise
        path.chmod(0o600)

    @property
    def generation(self) -> int:
        """How many times anything was stored in this state."""
        return self._read().generation

    @property
    def owner(self) -> str | None:
        """The key that the state belongs to, None before it is bound to one."""
        return self._read().owner

    def bind(self, key_id: str, last_use: Callable[[], LastUse]) -> None:
        """Let the state belong to `key_id`, and each advance be noted in what `last_use` opens.

        Whether it may, where it was another key's, is for the caller to know (`signing.memory`).
        """
        with self._locked() as found:
            if found.owner != key_id:
                # Both slots, the unused one first: none under another name is left to fall back to.
                unused = (found.generation & 1) ^ 1
                for slot in (unused, unused ^ 1):
                    self._write(replace(found, owner=key_id), slot)
        self._last_use = last_use()

    def last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint stored for `origin`."""
        found = self._read().logs.get(origin)
        return None if found is None else Checkpoint(origin, *found)

    def all(self) -> dict[str, Checkpoint]:
        """Return by log the last checkpoint stored. Read whole or not at all, also while another thread stores one."""
        return {origin: Checkpoint(origin, *found) for origin, found in sorted(self._read().logs.items())}

    def sizes(self) -> dict[str, int]:
        """Return the size signed last of each log of which anything was signed."""
        return {origin: size for origin, (size, _) in sorted(self._read().logs.items())}

    def origins(self) -> list[str]:
        """Return the logs of which anything was signed."""
        return list(self.sizes())

    def swap(self, last: Checkpoint | None, new: Checkpoint) -> bool:
        """Store `new` durably if `last` is still what is stored; say whether it was."""
        with self._locked() as found:
            if found.logs.get(new.origin) != (None if last is None else (last.size, last.root)):
                return False
            advanced = self._advance(found, [new], found.generation + 1)
        if self._last_use is not None:
            self._last_use.note(advanced, new)
        return True

    def fill(self, checkpoints: Iterable[Checkpoint], *, generation: int) -> None:
        """Store what an operator vouches for in a new state, above `generation`."""
        with self._locked() as found:
            self._advance(found, checkpoints, generation + 1)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
        if self._last_use is not None:
            self._last_use.close()

    def _advance(self, found: _Content, checkpoints: Iterable[Checkpoint], generation: int) -> int:
        logs = found.logs | {item.origin: (item.size, item.root) for item in checkpoints}
        self._write(replace(found, generation=generation, logs=logs), generation & 1)
        return generation

    @contextmanager
    def _locked(self) -> Iterator[_Content]:
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            yield self._read()
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _read(self) -> _Content:
        """Return the newer of the slots that hold together. Raises `ConfigurationError` when neither does."""
        try:
            slots = [_parse(lambda count, at: os.pread(self._handle, count, at), slot) for slot in (0, 1)]
        except OSError as error:
            raise self._unanswered(error) from error
        found = [slot for slot in slots if slot is not None]
        if not found:
            raise self._unusable("it is damaged")
        return max(found, key=lambda item: item.generation)

    def _write(self, content: _Content, slot: int) -> None:
        try:
            os.pwrite(self._handle, _slot_of(content), slot * SLOT_BYTES)
            os.fdatasync(self._handle)
        except OSError as error:
            raise self._unanswered(error) from error

    def _of_first_form(self) -> dict[str, tuple[int, bytes]]:
        """Return what the first form of the file holds, a database with a write-ahead log beside it."""
        import sqlite3  # where there is an old file, and nowhere else

        try:
            db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            try:
                db.execute("pragma journal_mode = delete")
                rows = db.execute("select origin, size, root from checkpoints").fetchall()
            finally:
                db.close()
        except sqlite3.Error as error:
            raise self._unusable(f"it cannot be opened: {error}") from error
        if not rows:
            raise self._unusable("it is empty")
        return {origin: (size, root) for origin, size, root in rows}

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"the witness state cannot be used: {why}.", file=str(self._path), remedy=REMEDY)

    def _unanswered(self, error: OSError) -> DependencyError:
        return DependencyError(
            f"the witness state does not answer: {error}.", file=str(self._path), remedy="Is the disk full, or gone?"
        )


REMEDY = (
    "Restore the newest copy, or give the newest anchored checkpoint of each log to "
    "`python -m ledger_core.signing.recover`: docs/runbooks/signing-state.md."
)


def _file_of(content: _Content) -> bytes:
    """Return a whole file: no byte of it is without a place on disk, so that an advance changes nothing but content."""
    return _slot_of(content).ljust(SLOT_BYTES, b"\0") + bytes(SLOT_BYTES)


def _slot_of(content: _Content) -> bytes:
    logs = {origin: [size, root.hex()] for origin, (size, root) in content.logs.items()}
    data = json.dumps({"key_id": content.owner, "logs": logs}, separators=(",", ":")).encode()
    assert _HEAD_BYTES + len(data) <= SLOT_BYTES, "the number of logs is bounded"
    number = b"%d %d " % (content.generation, len(data))
    return (_HEAD + number + sha256(number + data).hexdigest().encode()).ljust(_HEAD_BYTES - 1) + b"\n" + data


def _parse(read: Callable[[int, int], bytes], slot: int) -> _Content | None:
    """Return what `slot` holds; None for one that was never written, or not to its end."""
    at = slot * SLOT_BYTES
    head = read(_HEAD_BYTES, at)
    try:
        form, generation, length, digest = head.split()
        if form != _HEAD.strip() or not 0 < int(length) <= SLOT_BYTES - _HEAD_BYTES:
            return None
        data = read(int(length), at + _HEAD_BYTES)
        if sha256(b"%d %d " % (int(generation), int(length)) + data).hexdigest().encode() != digest:
            return None
        value = json.loads(data)
        logs = {origin: (int(size), bytes.fromhex(root)) for origin, (size, root) in value["logs"].items()}
        return _Content(generation=int(generation), owner=value["key_id"], logs=logs)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
