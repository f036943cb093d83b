"""When the key was last used: a second, small record beside the state, so that an older copy of the state is seen.

One block of fixed length, overwritten in place after the state is durable and before the signature is made, without
waiting for the disk: after a loss of power it may be behind the state and is never ahead of it. So a state whose number
is smaller than this one's is an older copy. Not a second state: it holds the last use alone, of whichever log.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ledger_core.base.files import write_once
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import Checkpoint

BLOCK_BYTES = 512
"""A sector: what a disk writes whole or not at all. The longest origin has 350 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of the key: the state's number at it, and what was signed (None before the first)."""

    key_id: str
    generation: int
    origin: str | None = None
    size: int = 0


class LastUse:
    """The record of one key. Its folder's lock is held by whoever has it open."""

    def __init__(self, path: Path, key_id: str) -> None:
        self._key_id = key_id
        self._handle = os.open(path, os.O_WRONLY)

    @classmethod
    def create(cls, path: Path, use: Use) -> LastUse:
        """Write `use` durably, in place of whatever was there, and return the record."""
        write_once(path, _block(use), mode=0o600)
        return cls(path, use.key_id)

    def note(self, generation: int, signed: Checkpoint) -> None:
        """Keep that the key is about to sign `signed`."""
        use = Use(key_id=self._key_id, generation=generation, origin=signed.origin, size=signed.size)
        try:
            os.pwrite(self._handle, _block(use), 0)
        except OSError as error:
            raise DependencyError(
                f"the record of the key's last use takes nothing: {error}.", remedy="Is the disk full, or gone?"
            ) from error

    def close(self) -> None:
        """Have the record on disk and let go of it."""
        os.fsync(self._handle)
        os.close(self._handle)


def read_last_use(path: Path) -> Use | None:
    """Return the record at `path`, None where there is none. Raises `ConfigurationError` for anything else in it."""
    try:
        with path.open("rb") as file:
            data = file.read(BLOCK_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        value = json.loads(data)
        return Use(
            key_id=str(value["key_id"]),
            generation=int(value["generation"]),
            origin=value["origin"],
            size=int(value["size"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigurationError(
            "the record of the key's last use cannot be read.",
            file=str(path),
            remedy="Restore the signer's folder, or go on as docs/runbooks/signing-state.md says.",
        ) from error


def _block(use: Use) -> bytes:
    value = {"generation": use.generation, "key_id": use.key_id, "origin": use.origin, "size": use.size}
    data = json.dumps(value, separators=(",", ":")).encode()
    assert len(data) < BLOCK_BYTES, "an origin is bounded"
    return data.ljust(BLOCK_BYTES - 1) + b"\n"
