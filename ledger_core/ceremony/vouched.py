"""What a carried `change.json` says of a change of keys, held against the registry before any log repeats it.

The file has no authority: what the change is stands in two versions of the registry, which the roots signed; what it
says of a log stands in notes and statements, which the key that signs after it signed. Whatever is left out counts like
whatever is changed. Sizes of a log of which nothing was signed are held against what the proxy signed last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.ceremony.install import action_of, difference
from ledger_core.errors import IntegrityError
from ledger_core.log.dsse import COMPROMISE_TYPE, Envelope, parse_envelope, verify_envelope
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint, decode_hash, parse_checkpoint, parse_note
from ledger_core.log.registry import KeyRecord, parse_registry
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.documents import active_key


def vouched_change(
    registry: Sequence[Envelope], change: Change, last: Mapping[str, Checkpoint], path: Path
) -> tuple[Change, KeyRing]:
    """Return `change`, which the file `path` tells, as far as it is vouched for, and the keys of its version.

    `registry` is a chain that was resolved and has the change's document, `last` what the proxy signed last. The trees
    beyond doubt are taken from the statements. Raises `IntegrityError`.
    """
    by_hash = {sha256(item.payload).hexdigest(): item.payload for item in registry}
    document = parse_registry(by_hash[change.sha256])
    if document.previous not in by_hash:
        raise not_vouched(path, f"no change led to version {change.version} of the registry, which")
    before = parse_registry(by_hash[document.previous])
    after = KeyRing(version=document.version, sha256=change.sha256, keys=document.keys)
    ended, fresh = difference(
        KeyRing(version=before.version, sha256=document.previous, keys=before.keys),
        after,
    )
    said = (change.action, change.key_id, change.successor)
    if said != (action_of(ended), _id_of(ended), _id_of(fresh)):
        raise not_vouched(path, f"what the file says version {change.version} of the registry changes")
    judge = _Judge(after, ended, fresh, path)
    logs = {origin: judge.log(origin, item, last.get(origin)) for origin, item in change.logs.items()}
    return replace(change, logs=logs), after


class _Judge:
    """The keys of one change, and what must have been signed for it."""

    def __init__(self, ring: KeyRing, ended: KeyRecord | None, fresh: KeyRecord | None, path: Path) -> None:
        self._ring, self._ended, self._fresh, self._path = ring, ended, fresh, path
        self._is_stolen = ended is not None and ended.is_compromised
        self._signer = active_key(ring.keys)

    def log(self, origin: str, item: LogChange, last: Checkpoint | None) -> LogChange:
        """Return what the file says of one log, with the tree beyond doubt as the statement has it."""
        tree = Checkpoint(origin, item.size, decode_hash(item.root))
        if last is not None and (tree.size > last.size or (tree.size == last.size and tree.root != last.root)):
            raise not_vouched(self._path, f"the tree of {origin} at size {tree.size}")
        has_note = self._ended is not None and self._fresh is not None
        if bool(item.note) != has_note or (has_note and not self._signed(item.note, tree)):
            raise not_vouched(self._path, f"the checkpoint of {origin} at size {tree.size}")
        if not self._is_stolen:
            if (item.good_size, item.good_root, item.good_note, item.statement) != (None, None, None, None):
                raise not_vouched(self._path, f"a tree beyond doubt of {origin}, where no key was stolen,")
            return item
        said = self._statement(origin, item, tree)
        good = said["good"]
        if good is None:
            if item.good_note is not None:
                raise not_vouched(self._path, f"the checkpoint beyond doubt of {origin}")
            return replace(item, good_size=None, good_root=None)
        beyond = Checkpoint(origin, good["size"], decode_hash(good["root"]))
        may = self._signer is not None and self._signer.is_valid_at(origin, beyond.size)
        if (item.good_note is not None) != may or (may and not self._signed(item.good_note or "", beyond)):
            raise not_vouched(self._path, f"the checkpoint of {origin} at size {beyond.size}")
        return replace(item, good_size=good["size"], good_root=good["root"])

    def _signed(self, text: str, tree: Checkpoint) -> bool:
        """Say whether `text` is a note over `tree` by the key that signs after the change."""
        note = parse_note(text)
        checkpoint = parse_checkpoint(note.text)
        if (checkpoint.origin, checkpoint.size, checkpoint.root) != (tree.origin, tree.size, tree.root):
            return False
        judged = self._ring.judge_checkpoint(note, checkpoint)
        return judged.verdict is None and _id_of(self._signer) in {record.key.key_id for record in judged.signers}

    def _statement(self, origin: str, item: LogChange, tree: Checkpoint) -> dict[str, Any]:
        """Return what the statement of a compromise says, which this key signed of this change and this log."""
        envelope = None if item.statement is None else parse_envelope(item.statement.encode())
        if (
            envelope is None
            or self._signer is None
            or envelope.payload_type != COMPROMISE_TYPE
            or not verify_envelope(envelope, [self._signer.key])
        ):
            raise not_vouched(self._path, f"the statement for {origin}")
        said: dict[str, Any] = json.loads(envelope.payload)
        stated = (said["origin"], said["key_id"], said["registry"]["sha256"], said["registry"]["version"])
        tip = said["tip"]
        is_tip = tip is None or (tip["size"], decode_hash(tip["root"])) == (tree.size, tree.root)
        if stated != (origin, _id_of(self._ended), self._ring.sha256, self._ring.version) or not is_tip:
            raise not_vouched(self._path, f"the statement for {origin}")
        return said


def _id_of(record: KeyRecord | None) -> str | None:
    return None if record is None else record.key.key_id


def not_vouched(path: Path, what: str) -> IntegrityError:
    return IntegrityError(
        f"{what} is signed by no key of the registry.",
        file=str(path),
        remedy="Nothing was recorded. Take what the proxy's host wrote, and ask who changed it on the way.",
    )
