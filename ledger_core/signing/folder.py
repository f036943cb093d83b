"""The signer's folder: what lies in it, and one process at a time on it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger_core.errors import ConfigurationError

KEY_FILE = "key.pem"
ROOT_FILE = "root.pem"
KEYS_FILE = "keys.jsonl"
STATE_FILE = "state.sqlite"
LAST_USE_FILE = "last-use"
NEXT_KEY_FILE = "next.pem"
"""The key that a draft of the registry names as the next to sign, until the roots have agreed."""
CHANGE_FILE = "change.json"
"""A change of keys that is not through yet: what is to be said of it, and to whom."""

UNTOLD_FILE = "untold-{version}.json"
"""A change that was made and that not every log could take the record of: told again with every later change."""


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`. Raises `ConfigurationError` while another process has it."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                "another signing proxy runs on this folder.", file=str(folder), remedy="Stop it, or use it."
            ) from error
        yield
