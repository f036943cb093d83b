"""What the archive and the landing need of a store of objects.

Not a file system and not a cache: an object has a name and bytes, and neither ever changes. The invariant is
that a name, once visible, holds its complete content for ever. Putting the same content again is a no-op, so
that a command killed half way is simply run again; putting other content under a taken name is an
`IntegrityError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from ledger_core.errors import InvalidInput
from ledger_core.log.object_tree import Place

MAX_NAME_LENGTH = 1024
"""S3's limit on a key, so that what fits here fits there."""
LOCK_SLACK = timedelta(days=31)
"""What an interrupted night left is locked from that night on. Older, or for less, it is written again."""

_PART = re.compile(r"[A-Za-z0-9_@=+,:~-][A-Za-z0-9_.@=+,:~ -]*")


def name_parts(name: str) -> list[str]:
    """Return the parts of an object's name. Raises `InvalidInput` for one that could leave the store or hide in it."""
    parts = name.split("/")
    if len(name) > MAX_NAME_LENGTH or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidInput(
            f"{name!r} is no object name.",
            remedy="Use relative parts of letters, digits and _.@=+,:~- that do not start with a dot.",
        )
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as it now lies in a store; `created` is False when the same content was there already."""

    name: str
    uri: str
    sha256: str
    size_bytes: int
    created: bool
    version_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """One of what was written under a name; `version_id` None in a store that keeps no versions."""

    version_id: str | None
    size_bytes: int
    written_at: datetime


Surveyed = tuple[str, Sequence[StoredVersion], Sequence[str]]
"""A name, its versions with the oldest first, and what was done to it that no writer of ours does."""


class ObjectStore(Protocol):
    """What the archive and the landing need of a store."""

    @property
    def uri(self) -> str:
        """Return the store's own address; an object's address is this, a slash and its name."""

    @property
    def keeps_versions(self) -> bool:
        """Say whether a name may hold several versions, each to be had by its id."""

    def put_once(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` (bytes, or a file to copy) as `name`, durably, once.

        Raises `IntegrityError` when `name` already holds other content.
        """

    def put_own(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` as `name`, whatever somebody else laid under that name before: as a version of its own.

        What is kept there already and is the same counts as stored.
        Raises `IntegrityError` as `put_once` does in a store that keeps no versions.
        """

    def kept(self, name: str, *, slack: timedelta = LOCK_SLACK) -> Iterator[StoredVersion]:
        """Yield the versions of `name`, the oldest first, that stay for as long as one written now would, less `slack`.

        A store without versions yields what it has.
        """

    def versions(self, name: str) -> Sequence[StoredVersion]:
        """Return the versions of `name`, the oldest first; none where it is not stored."""

    def open(self, name: str, version_id: str | None = None) -> BinaryIO:
        """Open an object for reading: the version called so, else the one written first. Raises `NotFound`."""

    def exists(self, name: str) -> bool:
        """Say whether `name` is stored."""

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix` and come behind the name `after`, in order."""

    def version_of(self, name: str) -> str | None:
        """Return the version of `name` that counts, which is the one written first; None in a store without versions.

        Raises `NotFound`.
        """

    def written_at(self, name: str) -> datetime:
        """Return when `name` was written, as the store says. Raises `NotFound`."""

    def survey(self, prefix: str = "") -> Iterator[Surveyed]:
        """Yield what lies under the names that start with `prefix`, in order, whoever put it there."""

    def foreign(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield names that start with `prefix`, each with what was done to it that `put_once` does not do."""

    def place(self, name: str) -> Place:
        """Return where a verifier reads what is stored as `name`, or below it."""

    def sweep(self, folder: str) -> None:
        """Remove what killed writers left below `folder` that is no object. Nobody else may be writing there."""
