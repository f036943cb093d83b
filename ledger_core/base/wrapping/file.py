"""The back-end whose key-encryption keys are files in the home: what the embedded default wraps with, and no more.

Whoever can read the folder opens every key that it wrapped; production refuses it. One file a key, mode 0600, named by
its number and its fingerprint: the highest wraps, each opens what it wrapped. Invariant: a key is written once, whole
or not at all, and two processes that make the first one end up with one.
"""

from __future__ import annotations

import os
import re
import secrets
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

_FILE = re.compile(r"(?P<number>[0-9]{4})-(?P<key>[0-9a-f]{16})\.key")


class FileWrapper:
    """The keys in `folder`. Nothing of them is kept in memory between two calls."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def current(self) -> KeyName:
        """The highest key in the folder; the first is made when there is none."""
        return (self._newest() or self._make(1))[0]

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` wrapped by AES-256-GCM under the highest key. Raises `DependencyError`, `ConfigurationError`."""
        name, path = self._newest() or self._make(1)
        nonce = os.urandom(NONCE_BYTES)
        return Wrapped(by=name, data=nonce + AESGCM(_load(path, name)).encrypt(nonce, key, bound(context)))

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key in `wrapped`. Raises `KeyNotOpened`, `DependencyError` where its key is gone or another."""
        found = [path for name, path in self._keys() if name.key == wrapped.by.key]
        if not found:
            raise WRAPPING.unavailable("not_found", str(self._folder), f"no key {wrapped.by.key} in it")
        nonce, data = wrapped.data[:NONCE_BYTES], wrapped.data[NONCE_BYTES:]
        cipher = AESGCM(_load(found[0], wrapped.by))
        try:
            return cipher.decrypt(nonce, data, bound(context))
        except (InvalidTag, ValueError) as error:
            raise not_opened(f"{wrapped.by}", type(error).__name__) from error

    def rotate(self) -> KeyName:
        """Make the next key, which wraps from now on."""
        newest = self._newest()
        return self._make(1 if newest is None else int(newest[0].version) + 1)[0]

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def _keys(self) -> list[tuple[KeyName, Path]]:
        if not self._folder.is_dir():
            return []
        files = sorted(path for path in self._folder.iterdir() if _FILE.fullmatch(path.name))
        return [(_name_of(path), path) for path in files]

    def _newest(self) -> tuple[KeyName, Path] | None:
        return next(reversed(self._keys()), None)

    def _make(self, number: int) -> tuple[KeyName, Path]:
        """Make key `number`, or take the one of that number that somebody made meanwhile."""
        if number > MAX_KEYS:
            raise ConfigurationError(f"{self._folder} holds {MAX_KEYS} keys (MAX_KEYS).", remedy="Remove the oldest.")
        private_folder(self._folder)
        key = secrets.token_bytes(KEY_BYTES)
        aside = self._folder / f".{os.getpid()}-{secrets.token_hex(4)}"
        write_once(aside, key.hex().encode() + b"\n", mode=0o600)
        try:
            # A name that all who make this number contend for: the file appears under it whole, for one of them.
            claim = self._folder / f"{number:04d}.made"
            try:
                os.link(aside, claim)
            except FileExistsError:
                key = _read(claim)
            path = self._folder / f"{number:04d}-{fingerprint(key)}.key"
            try:
                os.link(claim, path)
            except FileExistsError:
                pass
            sync_folder(self._folder)
        finally:
            aside.unlink(missing_ok=True)
        return _name_of(path), path


def fingerprint(key: bytes) -> str:
    """Return what a key-encryption key is called: it tells keys apart, and says nothing of one of 256 random bits."""
    return sha256(b"counterfoil key-encryption key 1\n" + key).hexdigest()[:16]


def _name_of(path: Path) -> KeyName:
    found = _FILE.fullmatch(path.name)
    assert found is not None
    return KeyName(backend=NAME, key=found["key"], version=str(int(found["number"])))


def _load(path: Path, name: KeyName) -> bytes:
    key = _read(path)
    if fingerprint(key) != name.key:
        raise WRAPPING.unavailable("wrong_key", str(path), f"it holds {fingerprint(key)}, its name says {name.key}")
    return key


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & 0o077:
            raise ConfigurationError(
                f"the key file has mode {mode & 0o777:04o}.",
                file=str(path),
                remedy="chmod 600 it, then `counterfoil file-keys rotate`: who could read it could open every key.",
            )
        text = file.read(KEY_BYTES * 2 + 2)
    try:
        key = bytes.fromhex(text.decode("ascii").removesuffix("\n"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError("no key of 32 bytes in hex.", file=str(path), remedy="Restore it from a backup.")
    return key
