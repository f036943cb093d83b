"""A change of keys that is under way: what was signed for it, kept until everybody who must know has been told.

One file in the signer's folder, written before the registry that makes the change, removed when the log holds the
records of it. Whoever finds it goes on from there. It is no authority: whether the change is made says the registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ledger_core.base.files import sync_folder, write_once
from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.note import NoteSignature, parse_note
from ledger_core.signing.folder import CHANGE_FILE, UNTOLD_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChange:
    """What is signed of one log: its last checkpoint by the new key (and by the old one), and after a compromise more.

    `good_note` is the tree beyond doubt by the new key, `statement` the DSSE envelope that says what happened.
    """

    size: int
    root: str
    note: str
    good_size: int | None = None
    good_root: str | None = None
    good_note: str | None = None
    statement: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A new version of the registry, and what it does to which keys."""

    action: str
    version: int
    sha256: str
    key_id: str | None = None
    successor: str | None = None
    reason: str | None = None
    logs: Mapping[str, LogChange] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Keep it in `folder`, durably."""
        write_once(folder / CHANGE_FILE, (json.dumps(asdict(self), indent=2) + "\n").encode(), mode=0o600)


def read_change(folder: Path, name: str = CHANGE_FILE) -> Change | None:
    """Return the change that is under way in `folder`, None when there is none. Raises `ConfigurationError`."""
    path = folder / name
    try:
        value = json.loads(path.read_bytes())
        logs = {origin: LogChange(**item) for origin, item in value.pop("logs").items()}
        return Change(**value, logs=logs)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"the change of keys that was begun cannot be read: {error}.",
            file=str(path),
            remedy="Restore the signer's folder, or put the file aside and run `counterfoil keys list`.",
        ) from error


def forget_change(folder: Path) -> None:
    """Remove what is through."""
    (folder / CHANGE_FILE).unlink(missing_ok=True)


def set_aside(folder: Path, change: Change) -> None:
    """Keep what is made and not told everywhere beside the change that comes next."""
    (folder / CHANGE_FILE).replace(folder / UNTOLD_FILE.format(version=change.version))
    sync_folder(folder)


def untold(folder: Path) -> list[Path]:
    """Return the files of the changes that were set aside, oldest first."""
    found = folder.glob(UNTOLD_FILE.format(version="*"))
    return sorted(found, key=lambda path: (len(path.name), path.name))


def overlap(folder: Path, key_hash_of: Mapping[str, bytes]) -> dict[str, tuple[NoteSignature, ...]]:
    """Return by text the signature lines of former keys over the checkpoints at which the new one takes over.

    `key_hash_of` maps a log to the hash by which lines of the key that signs now are known.
    """
    try:
        change = read_change(folder)
    except CounterfoilError:
        return {}  # the lines are a courtesy of the days of the change; the proxy signs without them
    found: dict[str, tuple[NoteSignature, ...]] = {}
    for origin, item in (change.logs if change is not None else {}).items():
        if not item.note:
            continue  # the key stayed
        note = parse_note(item.note)
        own = key_hash_of.get(origin)
        found[note.text] = tuple(line for line in note.signatures if line.key_hash != own)
    return found
