"""One key takes over from another in the signer's folder, as the registry there says: each step again and again.

The registry decides, once it is written. What follows from it is done by whoever comes next, the command that changed
it or the proxy's next start: the next key's file becomes the key's, the memory becomes the new key's, a root that is
none any more is removed. Not who may change the registry (`log.keys`), and not what is said of it (`change.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger_core.base.files import sync_folder, write_once
from ledger_core.errors import ConfigurationError
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import PublicKey
from ledger_core.settings.signer import BACKEND_VARIABLE, SignerSettings
from ledger_core.signing.backends import software
from ledger_core.signing.documents import Successor, active_key
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE, NEXT_KEY_FILE, ROOT_FILE
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend


def read_registry(folder: Path) -> list[Envelope]:
    """Return the documents in `folder`, oldest first, unverified."""
    return [parse_envelope(line) for line in (folder / KEYS_FILE).read_bytes().splitlines() if line]


def write_registry(folder: Path, registry: list[Envelope]) -> None:
    """Put `registry` in place of what is there, in one step."""
    write_once(folder / KEYS_FILE, b"".join(item.to_bytes() + b"\n" for item in registry), mode=0o600)


def former_keys(ring: KeyRing | None) -> frozenset[str]:
    """Return the keys that signed once and do not now."""
    return (
        frozenset()
        if ring is None
        else frozenset(item.key.key_id for item in ring.keys if item is not active_key(ring.keys))
    )


def install_key_file(folder: Path, ring: KeyRing) -> None:
    """Make the next key's file the key's, if the registry lets that one sign now; the old key is gone with it."""
    next_path, active = folder / NEXT_KEY_FILE, active_key(ring.keys)
    if active is not None and next_path.exists() and software.load(next_path).public_key.key_id == active.key.key_id:
        next_path.replace(folder / KEY_FILE)
        sync_folder(folder)


def remove_old_root(folder: Path, ring: KeyRing) -> bool:
    """Remove the root of the first start once it is none of the roots; say whether it was there."""
    path = folder / ROOT_FILE
    if not path.exists() or software.load(path).public_key.key_id in {key.key_id for key in ring.roots}:
        return False
    path.unlink()
    sync_folder(folder)
    return True


def require_active(ring: KeyRing, key_id: str, folder: Path) -> None:
    """Raise `ConfigurationError` where the key that is opened is not the one that the registry lets sign now."""
    active = active_key(ring.keys)
    if active is not None and active.key.key_id != key_id:
        raise ConfigurationError(
            f"the key here is {key_id:.16}, the registry's version {ring.version} lets {active.key.key_id:.16} sign.",
            file=str(folder),
            remedy="Name the new key in the signer's settings, or restore the folder as a whole.",
        )


def drop_next_key(folder: Path, ring: KeyRing) -> None:
    """Remove a next key that lies ready: whoever took the key beside it has it too. One that signs by now stays."""
    install_key_file(folder, ring)
    path = folder / NEXT_KEY_FILE
    if path.exists():
        path.unlink()
        sync_folder(folder)


def open_successor(folder: Path, settings: SignerSettings, ring: KeyRing, *, fresh: bool = False) -> SigningBackend:
    """Return the key that is to sign next: a new one in a file, or the one that the settings name.

    With `fresh` none that lay ready is taken. Raises `ConfigurationError` where the settings still name a key that is
    in the registry, and where they name a file while the key that signs is kept elsewhere.
    """
    _refuse_step_down(settings, ring)
    if fresh:
        drop_next_key(folder, ring)
    if settings.backend == software.NAME:
        software.check_settings(settings)
        return software.load_or_create(folder / NEXT_KEY_FILE)
    key = choose_backend(settings).open_key(settings, folder)
    if key.public_key.key_id in {item.key.key_id for item in ring.keys}:
        raise ConfigurationError(
            f"the settings name key {key.public_key.key_id:.16}, which is in the registry already.",
            remedy="Make the new key where the old one is kept, and run this with the settings that name it.",
        )
    return key


def _refuse_step_down(settings: SignerSettings, ring: KeyRing) -> None:
    """Raise where a key in a file would follow one that a token or a service keeps: so looks a shell in which the
    settings are not set."""
    active = active_key(ring.keys)
    if settings.backend == software.NAME and active is not None and active.backend != software.NAME:
        raise ConfigurationError(
            f"{BACKEND_VARIABLE} is {software.NAME}, or is not set, and the key that signs is in {active.backend:.40}.",
            remedy=f"Set {BACKEND_VARIABLE} and what else names the next key in the shell of this command: "
            "docs/runbooks/signing-backends.md. A key in a file does not follow one that is kept elsewhere.",
        )


def describe_successor(folder: Path, settings: SignerSettings, ring: KeyRing, *, fresh: bool = False) -> Successor:
    """Return what the registry says of the key that is to sign next. Raises as `open_successor` does."""
    with in_hand(open_successor(folder, settings, ring, fresh=fresh)) as key:
        return describe(key)


@contextmanager
def in_hand(key: SigningBackend) -> Iterator[SigningBackend]:
    """Give `key` back to whoever keeps it afterwards: a process logs in to a token once."""
    try:
        yield key
    finally:
        close = getattr(key, "close", None)
        if close is not None:
            close()


def describe(key: SigningBackend) -> Successor:
    """Return what the registry says of `key`."""
    public: PublicKey = key.public_key
    return Successor(key=public, backend=key.name, assurance=key.assurance)
