"""A landed file's bytes on their way into the object store, and out of it again.

Card numbers are masked and everything is encrypted before the first byte reaches a disk. Whose key that is, and that it
can be dropped (`drop_key`, which is erasure), is `file_keys`'.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from sqlalchemy import text

from ingest.contract.cards import mask_bytes
from ingest.landing.file_keys import OpeningRuntime, open_key
from ledger_core.base.encryption import decrypt, encrypt
from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import InvalidInput

READ_BYTES = 1024 * 1024
MAX_FILE_BYTES = 16 * 1024**3
"""Three times the largest day that the platform is measured with."""
STALE_SECONDS = 24 * 3600
"""A file aside this old belongs to a landing that was killed."""


class StoredRuntime(OpeningRuntime, Protocol):
    """What reading a landed file needs of `ledger_core.runtime.Runtime`."""

    raw_store: ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The SHA-256 and length of some bytes."""

    sha256: str
    size_bytes: int


def digest(stream: BinaryIO, *, name: str) -> Digest:
    """Return the digest of all of `stream`. Raises `InvalidInput` past `MAX_FILE_BYTES`."""
    stream.seek(0)
    sha256, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(stream):
        sha256.update(chunk)
        size_bytes += len(chunk)
        if size_bytes > MAX_FILE_BYTES:
            raise InvalidInput(
                f"the file is larger than {MAX_FILE_BYTES} bytes (MAX_FILE_BYTES).",
                file=name,
                remedy="Have the provider's report split by day.",
            )
    return Digest(sha256=sha256.hexdigest(), size_bytes=size_bytes)


def store(
    stream: BinaryIO,
    *,
    into: ObjectStore,
    object_name: str,
    aside: Path,
    key: bytes,
    file_id: UUID,
    expected_sha256: str,
    cards: set[str],
    name: str,
) -> str:
    """Store all of `stream`, `cards` masked, under `object_name`; return the SHA-256 of what was encrypted.

    `aside` is a folder for the encrypted bytes on their way. Raises `InvalidInput` when the file is no longer the one
    that was parsed, or when a card number stands in it in a way that cannot be masked.
    """
    stream.seek(0)
    came, seen = hashlib.sha256(), set[str]()
    with _aside(aside) as path:
        with path.open("wb") as sink:
            plain = mask_bytes(_counted(_chunks(stream), came), cards, seen=seen)
            written = encrypt(plain, sink, key=key, file_id=str(file_id))
        if came.hexdigest() != expected_sha256:
            raise changed(name)
        if cards - seen:
            raise InvalidInput(
                "a card number is written in a way that cannot be masked in place; nothing was stored.",
                file=name,
                remedy="Ask the sender for the file without it.",
            )
        into.put_once(object_name, path)
    return written.sha256


def changed(name: str) -> InvalidInput:
    """Return the refusal of a file that is not, or no longer, the one whose hash was taken."""
    return InvalidInput(
        "the file changed while it was being read.", file=name, remedy="Ingest it again once it is complete."
    )


def read_stored(runtime: StoredRuntime, file_id: UUID) -> Iterator[bytes]:
    """Yield the bytes of a landed file as they were stored. Raises `Erased` once its key was dropped, `NotFound` for a
    file that never landed, and what `file_keys.open_key` raises of its keeper."""
    key = open_key(runtime, file_id)
    with runtime.engine.connect() as connection:
        name: str = connection.execute(
            text("select object_name from raw.files where file_id = :file_id"), {"file_id": file_id}
        ).scalar_one()
    with runtime.raw_store.open(name) as source:
        yield from decrypt(source, key=key, file_id=str(file_id))


class _aside:  # noqa: N801 - reads as a verb where it is used
    """A temporary file in a folder that is swept of what killed landings left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink()
        handle = tempfile.NamedTemporaryFile(dir=self._folder, delete=False)
        handle.close()
        self._path = Path(handle.name)
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(READ_BYTES):
        yield chunk


def _counted(chunks: Iterator[bytes], sha256: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        sha256.update(chunk)
        yield chunk
