"""What wraps a key: the port behind which a file, AWS KMS, Vault and a token are alike.

A wrapped key says which back-end wrapped it, under which key and which version of it, so that it is still read after a
rotation and after a change of back-end. It opens under its context alone (the file that it is for): the same bytes
beside another file open nothing. Invariants: a key-encryption key is never handed out; of an unwrapped key nothing is
kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Context = Mapping[str, str]
"""What a wrapped key is for; no secret, for some keepers write it into their logs."""
MAX_WRAPPED_BYTES = 8192
"""Of a wrapped key; the longest that a keeper makes of 32 bytes is a few hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyName:
    """Which key-encryption key: its back-end, its name there, and its version where it has some."""

    backend: str
    key: str
    version: str

    def __str__(self) -> str:
        return f"{self.backend} {self.key}" + (f" v{self.version}" if self.version else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A key, wrapped: by whom, and the bytes that only they open."""

    by: KeyName
    data: bytes = field(repr=False)


class Wrapper(Protocol):
    """A back-end. Safe for threads. What goes wrong is a reason of `custody`, or `KeyNotOpened`."""

    @property
    def current(self) -> KeyName:
        """The key that wraps, as the settings name it."""
        ...

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` wrapped under the current key, for `context`."""
        ...

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key in `wrapped`, also of an older key or version. Raises `KeyNotOpened` for another context."""
        ...

    def rotate(self) -> KeyName:
        """Make the next key and let it wrap. Raises `ConfigurationError` where that is done in the keeper."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


def bound(context: Context) -> bytes:
    """Return `context` as bytes, one form for each."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()
