"""Reading what may be damaged or hostile: bounded regular files, bounded JSON, compressed lines in constant memory.

A pipe or a device is never opened, and a JSON text whose values would take many times its own size in memory is never
parsed. How far compressed lines unfold is for `unfolding.py`. Damage is a result, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from ledger_core.log.findings import MISSING
from ledger_core.log.object_tree import ObjectPlace, Place
from ledger_core.log.unfolding import Block, Gone, SecondProcess, Unfolded, Unfolding, open_file

MAX_CONTENT_BYTES = 2**44
"""16 TiB: where no manifest says how much there is."""
SLACK_BYTES = 1024 * 1024
"""How much more than the manifest says is looked at, so that inserted records can be named."""
UNSIGNED_RATIO = 64
"""How many bytes a stored byte may unfold to where nothing signed says how many; records unfold to some five."""
FREE_VALUES = 10_000
MAX_DEPTH = 64
"""Of the containers in a document: what reads them, and what shows them, calls itself once a level."""
BYTES_PER_VALUE = 8
"""JSON of ours has twenty bytes and more to a value. A value takes some sixty in memory, whatever it is written as."""


class LineReader:
    """Iterate over batches of lines of the gzip file at `path`; afterwards `problem` says how it ended.

    `problem` is None or (verdict, detail). `stored_bytes` and `stored_sha256` describe the file as stored. `second` is
    a process that unfolds beside this one, where that pays.
    """

    def __init__(
        self, path: Place, *, max_content_bytes: int | None = None, second: SecondProcess | None = None
    ) -> None:
        self._path = path
        self._room = MAX_CONTENT_BYTES if max_content_bytes is None else max_content_bytes + SLACK_BYTES
        self._second = second
        self.content_bytes = 0
        self.stored_bytes = 0
        self.stored_sha256 = sha256().hexdigest()
        self.problem: tuple[str, str] | None = None

    def __iter__(self) -> Iterator[list[bytes]]:
        for block in self.blocks():
            yield block.lines()

    def blocks(self) -> Iterator[Block]:
        """Yield the lines in blocks, each line with its leaf hash."""
        given = 0
        if self._second is not None and isinstance(self._path, Path) and self._second.pays(self._path):
            ended = Unfolded()
            try:
                for block in self._second.unfold(self._path, self._room, ended):
                    given += len(block.data)
                    yield block
            except Gone:
                pass  # what it did not give is read here, from the beginning
            else:
                self.stored_bytes, self.stored_sha256 = ended.stored_bytes, ended.stored_sha256
                self.content_bytes = ended.content_bytes
                self.problem = ended.problem
                return
        yield from self._here(given)

    def _here(self, given: int) -> Iterator[Block]:
        # Unfolding one block ahead on a second thread was measured: waiting for the interpreter's lock made it three
        # times slower.
        try:
            with open_regular(self._path) as file:
                reading = Unfolding(file, self._room)
                for block in reading:
                    if given <= 0:
                        yield block
                    given -= len(block.data)
                self.problem = reading.problem
                self.stored_bytes, self.stored_sha256 = reading.stored_bytes, reading.stored_sha256
                self.content_bytes = reading.content_bytes
        except OSError as error:
            self.problem = (MISSING, f"it cannot be read: {error.strerror}")


def open_regular(path: Place) -> BinaryIO:
    """Open the regular file at `path`, through links too. Raises `OSError` for anything else, and never waits.

    Of an object in a bucket it opens the version that counts; a bucket that does not answer is no `OSError`, and says
    nothing of what is in it.
    """
    if isinstance(path, ObjectPlace):
        return path.open()
    return open_file(path)


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

    Without `max_values` a text may hold one value to eight bytes, beyond the first ten thousand. What two readers could
    take for two values is none: another encoding than UTF-8, a key twice in one object, `NaN`.
    """
    limit = FREE_VALUES + len(data) // BYTES_PER_VALUE if max_values is None else max_values
    if count_values(data) > limit:
        raise ValueError(f"it holds more than {limit:,} values")
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if sum(map(text.count, "[{")) > MAX_DEPTH and _is_deep(value):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return value


def count_values(data: bytes | str) -> int:
    """Return at least the number of values in a JSON text, without parsing it; marks inside texts count too."""
    if isinstance(data, str):
        return sum(map(data.count, "[{,"))
    return sum(map(data.count, (b"[", b"{", b",")))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_deep(value: Any) -> bool:
    """Say whether containers in `value` stand in each other deeper than they may; without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for item in level
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return False
    return True
