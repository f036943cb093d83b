"""The back-end whose key-encryption keys are files in the home: what the embedded default wraps with, and no more.

Whoever can read the folder opens every key that it wrapped; production refuses it. One file a key, mode 0600, named by
its number: the highest wraps, each opens what it wrapped and is known by its fingerprint. Invariant: a key is written
once, whole or not at all, and two processes that make the first one end up with one.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger_core.base.files import private_folder, sync_folder, write_once
from ledger_core.base.wrapping.custody import WRAPPING, not_opened
from ledger_core.base.wrapping.port import Context, KeyName, Wrapped, bound
from ledger_core.errors import ConfigurationError

NAME = "file"
FOLDER = "wrapping"
"""Below the home."""
KEY_BYTES, NONCE_BYTES = 32, 12
MAX_KEYS = 9_999

_KEY = re.compile(rb"([0-9a-f]{64})\n?")
_FILE = re.compile(r"[0-9]{4}\.key")


class FileWrapper:
    """The keys in `folder`. Nothing of them is kept in memory between two calls."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def current(self) -> KeyName:
        """The highest key in the folder; the first is made when there is none."""
        path = self._newest()
        return _name_of(path, _read(path))

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` wrapped by AES-256-GCM under the highest key. Raises `ConfigurationError`."""
        path = self._newest()
        wrapping, nonce = _read(path), os.urandom(NONCE_BYTES)
        data = AESGCM(wrapping).encrypt(nonce, key, bound(context))
        return Wrapped(by=_name_of(path, wrapping), data=nonce + data)

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key in `wrapped`. Raises `KeyNotOpened`; `DependencyError` where its key is gone, or another."""
        nonce, data = wrapped.data[:NONCE_BYTES], wrapped.data[NONCE_BYTES:]
        try:
            return AESGCM(self._find(wrapped.by)).decrypt(nonce, data, bound(context))
        except (InvalidTag, ValueError) as error:
            raise not_opened(str(wrapped.by), type(error).__name__) from error

    def rotate(self) -> KeyName:
        """Make the next key, which wraps from now on."""
        paths = self._paths()
        path = self._make(1 if not paths else int(paths[-1].stem) + 1)
        return _name_of(path, _read(path))

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def _find(self, name: KeyName) -> bytes:
        """Return the key called `name`, in whichever file it lies."""
        keys = {path: _read(path) for path in self._paths()}
        for key in keys.values():
            if fingerprint(key) == name.key:
                return key
        another = next((path for path in keys if str(int(path.stem)) == name.version), None)
        if another is None:
            raise WRAPPING.unavailable("not_found", str(self._folder), f"no key {name.key} in it")
        raise WRAPPING.unavailable("wrong_key", str(another), f"it holds {fingerprint(keys[another])}, not {name.key}")

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _FILE.fullmatch(path.name))

    def _newest(self) -> Path:
        return next(reversed(self._paths()), None) or self._make(1)

    def _make(self, number: int) -> Path:
        """Make key `number`, or take the one of that number that somebody made meanwhile."""
        if number > MAX_KEYS:
            raise ConfigurationError(f"{self._folder} holds {MAX_KEYS} keys (MAX_KEYS).", remedy="Remove the oldest.")
        private_folder(self._folder)
        path = self._folder / f"{number:04d}.key"
        aside = self._folder / f".{os.getpid()}-{secrets.token_hex(4)}"
        try:
            write_once(aside, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n", mode=0o600)
            with suppress(FileExistsError):
                # Not a rename, which would put one maker's key in the place of another's that has wrapped already.
                os.link(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(self._folder)
        return path


def fingerprint(key: bytes) -> str:
    """Return what a key-encryption key is called: it tells keys apart, and says nothing of one of 256 random bits."""
    return sha256(b"counterfoil key-encryption key 1\n" + key).hexdigest()[:16]


def _name_of(path: Path, key: bytes) -> KeyName:
    return KeyName(backend=NAME, key=fingerprint(key), version=str(int(path.stem)))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & 0o077:
            raise ConfigurationError(
                f"the key file has mode {mode & 0o777:04o}.",
                file=str(path),
                remedy="chmod 600 it, then `counterfoil file-keys rotate`: who could read it could open every key.",
            )
        found = _KEY.fullmatch(file.read(KEY_BYTES * 2 + 2))
    if found is None:
        raise ConfigurationError("no key of 32 bytes in hex.", file=str(path), remedy="Restore it from a backup.")
    return bytes.fromhex(found[1].decode())
