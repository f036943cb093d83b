"""What the archive and the landing need of a store of objects.

Not a file system and not a cache: an object has a name and bytes, and neither ever changes. The invariant is
that a name, once visible, holds its complete content for ever. Putting the same content again is a no-op, so
that a command killed half way is simply run again; putting other content under a taken name is an
`IntegrityError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

MAX_NAME_LENGTH = 1024
"""S3's limit on a key, so that what fits here fits there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as it now lies in a store; `created` is False when the same content was there already."""

    name: str
    uri: str
    sha256: str
    size_bytes: int
    created: bool
    version_id: str | None = None


class ObjectStore(Protocol):
    """What the archive and the landing need of a store."""

    @property
    def uri(self) -> str:
        """Return the store's own address; an object's address is this, a slash and its name."""

    def put_once(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` (bytes, or a file to copy) as `name`, durably, once.

        Raises `IntegrityError` when `name` already holds other content.
        """

    def open(self, name: str) -> BinaryIO:
        """Open an object for reading. Raises `NotFound`."""

    def exists(self, name: str) -> bool:
        """Say whether `name` is stored."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in order."""

    def sweep(self, folder: str) -> None:
        """Remove what killed writers left below `folder` that is no object. Nobody else may be writing there."""
