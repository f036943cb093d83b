"""The back-end that wraps and those that wrapped before, as one: what rooms above hold.

A wrapped key is opened by the back-end that its name says, which is opened when it is first asked for: so what was
wrapped in a file opens after the settings name a KMS. Invariant: no key stays here once it was handed over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ledger_core.base.wrapping.port import MAX_WRAPPED_BYTES, Context, KeyName, Wrapped, Wrapper
from ledger_core.errors import IntegrityError


class KeyWrapping:
    """Wraps under the back-end called `backend`. `open_one` opens one by its name. Safe for threads."""

    def __init__(self, backend: str, open_one: Callable[[str], Wrapper]) -> None:
        self._backend, self._open_one = backend, open_one
        self._lock = threading.Lock()
        self._opened: dict[str, Wrapper] = {}

    @property
    def current(self) -> KeyName:
        """The key that wraps. Raises `ConfigurationError`, `DependencyError` where it cannot be opened."""
        return self._of(self._backend).current

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` wrapped under the current key, for `context`. Raises `DependencyError`."""
        wrapped = self._of(self._backend).wrap(key, context)
        if not 0 < len(wrapped.data) <= MAX_WRAPPED_BYTES:
            raise IntegrityError(
                f"{wrapped.by}: {len(wrapped.data)} bytes are no wrapped key (MAX_WRAPPED_BYTES).",
                remedy="What answers is not what was asked: look at the keeper before anything else lands.",
            )
        return wrapped

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key in `wrapped`. Raises `KeyNotOpened`, `DependencyError`, `ConfigurationError`."""
        return self._of(wrapped.by.backend).unwrap(wrapped, context)

    def rotate(self) -> KeyName:
        """Make the next key, where the back-end makes its own. Raises `ConfigurationError` elsewhere."""
        return self._of(self._backend).rotate()

    def close(self) -> None:
        """Close what was opened; whoever asks next opens it again."""
        with self._lock:
            opened, self._opened = self._opened, {}
        for wrapper in opened.values():
            wrapper.close()

    def _of(self, backend: str) -> Wrapper:
        with self._lock:
            if backend not in self._opened:
                self._opened[backend] = self._open_one(backend)
            return self._opened[backend]
