"""Install a version of the registry that the roots have signed: judged, what it needs signed, written, followed.

Order: the change is kept in a file with everything that has to be signed for it, then the registry is written, which
makes the change; what follows from it (`signing.takeover`) is done here or by the proxy's next start; telling is
`finish`. Killed anywhere, the same command, or any other change of keys, goes on from there. Invariant: no document is
written that a verifier with the home's trust file would not follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from ledger_core.base.files import write_once
from ledger_core.ceremony.desk import Desk
from ledger_core.ceremony.good import archived, tip_proved
from ledger_core.errors import CounterfoilError, IntegrityError, Refused
from ledger_core.evidence.export.plan import plans_of
from ledger_core.log.dsse import COMPROMISE_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import (
    Checkpoint,
    NoteSignature,
    SignedNote,
    checkpoint_text,
    encode_base64,
    parse_note,
)
from ledger_core.log.record import format_time
from ledger_core.log.registry import ACTIVE, COMPROMISED, REVOKED, KeyRecord
from ledger_core.log.segment import FILES, MANIFEST_FILE
from ledger_core.reading.heads import checkpoint_at
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.documents import active_key
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE
from ledger_core.signing.memory import bind_state
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.takeover import (
    former_keys,
    install_key_file,
    open_successor,
    remove_old_root,
    write_registry,
)

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

NO_ANSWER = (CounterfoilError, ValueError, TypeError, psycopg.Error, SQLAlchemyError)
"""What reading a database that is damaged or away may raise."""
ACTIONS = {REVOKED: "revoked", COMPROMISED: "compromised"}


def install(desk: Desk, envelope: Envelope) -> Change:
    """Make the change that `envelope` is. Raises `IntegrityError` where the roots did not agree, `Refused` where it
    does not fit what is signed here."""
    before, after = desk.ring, resolve_keys(desk.trust, [*desk.registry, envelope])
    ended, fresh = _difference(before, after)
    key = _signing_key(desk, after, fresh)
    change = Change(
        action=_action(ended),
        version=after.version,
        sha256=after.sha256,
        key_id=ended.key.key_id if ended is not None else None,
        successor=fresh.key.key_id if fresh is not None else None,
        logs={
            origin: _log_change(desk, after, ended, fresh, key, checkpoint)
            for origin, checkpoint in last_checkpoints(desk).items()
        },
    )
    change.write(desk.folder)
    write_registry(desk.folder, [*desk.registry, envelope])
    follow(desk, after)
    return change


def follow(desk: Desk, ring: KeyRing) -> None:
    """Do in the folder and beside the trust file what the registry `ring`, written already, asks for."""
    install_key_file(desk.folder, ring)
    active = active_key(ring.keys)
    if active is not None:
        bind_state(desk.state, desk.folder, active.key.key_id, former=former_keys(ring))
    remove_old_root(desk.folder, ring)
    path = desk.runtime.trust_path
    write_once(path.with_name(KEYS_FILE), (desk.folder / KEYS_FILE).read_bytes(), mode=0o644)
    write_once(path, trust_bytes(desk.trust, ring), mode=0o644)


def trust_bytes(pinned: TrustFile, ring: KeyRing) -> bytes:
    """Return `pinned` with the registry as it stands: its roots, and its version as the lowest believed."""
    trust = replace(pinned, threshold=ring.threshold, roots=ring.roots, registry_version=ring.version)
    return (json.dumps(trust.as_json(), indent=2) + "\n").encode()


def refuse_interrupted_exports(runtime: Runtime, origins: Mapping[str, int]) -> None:
    """Raise `Refused` while an export of ours has begun a segment and not ended it: the new key could not end it.

    What only lies in the archive says nothing: whoever can write there must not be able to keep a key alive.
    """
    for origin in origins:
        for plan in plans_of(runtime.home, origin):
            begun = any(runtime.archive.exists(f"{plan.folder}/{name}") for name in FILES)
            if begun and not runtime.archive.exists(f"{plan.folder}/{MANIFEST_FILE}"):
                raise Refused(
                    f"the export of {plan.closed_on} was interrupted, and the key that begins now cannot end it.",
                    remedy=f"Run `counterfoil export {plan.closed_on}` first.",
                )


def _difference(before: KeyRing, after: KeyRing) -> tuple[KeyRecord | None, KeyRecord | None]:
    """Return the key that ends and the one that begins. Raises `Refused` for a document that does more than that."""
    known = {item.key.key_id: item for item in before.keys}
    listed = {item.key.key_id: item for item in after.keys}
    if lost := known.keys() - listed.keys():
        raise Refused(f"key {min(lost)[:16]} would be forgotten, and what it signed with it.")
    ended = [item for key_id, item in listed.items() if key_id in known and item.as_json() != known[key_id].as_json()]
    fresh = [item for key_id, item in listed.items() if key_id not in known]
    if len(ended) > 1 or len(fresh) > 1 or (fresh and fresh[0].status != ACTIVE):
        raise Refused("the document changes more than one key.", remedy="Draft one change a version.")
    if any(known[item.key.key_id].is_compromised and not item.is_compromised for item in ended):
        raise Refused("a compromised key would count again.")
    if active_key(after.keys) is None:
        raise Refused("no key would sign any more.", remedy="End the key by a rotation.")
    return (ended[0] if ended else None), (fresh[0] if fresh else None)


def _action(ended: KeyRecord | None) -> str:
    return "roots" if ended is None else ACTIONS.get(ended.status, "rotated")


def _signing_key(desk: Desk, after: KeyRing, fresh: KeyRecord | None) -> SigningBackend:
    """Return the key that signs after the change. Raises `Refused` when the registry names one that is not here."""
    if fresh is not None:
        key = open_successor(desk.folder, desk.settings, desk.ring)
        wanted = fresh
    else:
        key = choose_backend(desk.settings).open_key(desk.settings, desk.folder)
        wanted = active_key(after.keys) or after.keys[-1]
    if key.public_key.key_id != wanted.key.key_id:
        raise Refused(
            f"the registry lets {wanted.key.key_id[:16]} sign, the key here is {key.public_key.key_id[:16]}.",
            remedy="Install the newest draft, or draft again.",
        )
    return key


def last_checkpoints(desk: Desk) -> dict[str, Checkpoint]:
    """Return by log what the witness signed last."""
    found = {origin: desk.state.last(origin) for origin in desk.state.origins()}
    return {origin: item for origin, item in found.items() if item is not None}


def _log_change(
    desk: Desk,
    after: KeyRing,
    ended: KeyRecord | None,
    fresh: KeyRecord | None,
    key: SigningBackend,
    last: Checkpoint,
) -> LogChange:
    """Return what is signed of one log. Raises `Refused` when the log has outgrown the draft."""
    root = encode_base64(last.root)
    if ended is None:
        return LogChange(size=last.size, root=root, note="")
    stolen = ended.is_compromised
    if fresh is not None and not (
        fresh.is_valid_at(last.origin, last.size) and (stolen or ended.is_valid_at(last.origin, last.size))
    ):
        raise Refused(
            f"the draft has expired: {last.origin} is signed to size {last.size:,}, which it does not leave to both "
            "keys.",
            remedy="Draft again, with a --window of as many records as are signed until the roots have agreed.",
        )
    lines = [] if stolen or fresh is None else _former_lines(desk, ended, last)
    note = _note(last, key, lines) if fresh is not None else ""
    if not stolen:
        return LogChange(size=last.size, root=root, note=note)
    good = max(ended.good_trees(last.origin), default=None)
    tree = None if good is None else Checkpoint(last.origin, *good)
    signer = active_key(after.keys)
    may = tree is not None and signer is not None and signer.is_valid_at(tree.origin, tree.size)
    return LogChange(
        size=last.size,
        root=root,
        note=note,
        good_size=None if tree is None else tree.size,
        good_root=None if tree is None else encode_base64(tree.root),
        good_note=_note(tree, key, []) if may and tree is not None else None,
        statement=_statement(desk, after, ended, key, tree, last),
    )


def _note(checkpoint: Checkpoint, key: SigningBackend, former: list[NoteSignature]) -> str:
    text = checkpoint_text(checkpoint.origin, checkpoint.size, checkpoint.root)
    line = NoteSignature(checkpoint.origin, key.public_key.note_hash(checkpoint.origin), _sign(key, text.encode()))
    return str(SignedNote(text, (*former, line)))


def _former_lines(desk: Desk, ended: KeyRecord, last: Checkpoint) -> list[NoteSignature]:
    """Return the old key's line over the checkpoint at which it ends: made now, or as the ledger has stored it."""
    path = desk.folder / KEY_FILE
    if path.exists() and (old := software.load(path)).public_key.key_id == ended.key.key_id:
        return list(parse_note(_note(last, old, [])).signatures)
    try:
        with desk.runtime.engine.connect() as connection:
            stored = checkpoint_at(connection, last.origin.rpartition("/")[2], last.size)
        note = parse_note(stored.note) if stored is not None else None
    except NO_ANSWER:
        note = None  # the database is away, or holds no note: then the new key's line stands alone
    text, key = checkpoint_text(last.origin, last.size, last.root), ended.key
    if note is None or note.text != text:
        return []
    own = (last.origin, key.note_hash(last.origin))
    lines = [item for item in note.signatures if (item.name, item.key_hash) == own]
    return [item for item in lines if key.verify(text.encode(), item.signature)][:1]


def _statement(
    desk: Desk, after: KeyRing, ended: KeyRecord, key: SigningBackend, good: Checkpoint | None, tip: Checkpoint
) -> str:
    """Return the signed statement of a compromise for one log, with its tip where that is shown to contain `good`."""
    runtime = desk.runtime
    why_not = _why_not_proved(runtime, good, tip)
    payload: dict[str, Any] = {
        "created_at": format_time(runtime.clock()),
        "evidence": [] if good is None else _evidence(desk, good),
        "good": None if good is None else {"root": encode_base64(good.root), "size": good.size},
        "key_id": ended.key.key_id,
        "origin": tip.origin,
        "reattested": None if why_not else {"from_size": good.size if good is not None else 0, "to_size": tip.size},
        "registry": {"sha256": after.sha256, "version": after.version},
        "schema": "cf-key-compromise/1",
        "signed_by": key.public_key.key_id,
        "tip": None if why_not else {"root": encode_base64(tip.root), "size": tip.size},
        "why_not_reattested": why_not,
    }
    data = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    signature = _sign(key, pae(COMPROMISE_TYPE, data))
    envelope = Envelope(COMPROMISE_TYPE, data, (EnvelopeSignature(key.public_key.key_id, signature),))
    return envelope.to_bytes().decode("ascii")


def _why_not_proved(runtime: Runtime, good: Checkpoint | None, tip: Checkpoint) -> str | None:
    """Return why the database does not show that the tip contains `good`: whatever is wrong with it, the key ends."""
    try:
        with runtime.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            return tip_proved(driver, tip.origin.rpartition("/")[2], good, tip)
    except NO_ANSWER as error:
        said = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        return f"the database does not answer: {said or type(error).__name__}"


def _evidence(desk: Desk, good: Checkpoint) -> list[str]:
    """Return where `good` lies in the archive, nothing where that cannot be read: the registry states the tree."""
    try:
        found = archived(desk.runtime.archive, desk.ring, good.origin)
    except (CounterfoilError, OSError):
        return []
    return [item.where for item in found if item.checkpoint == good]


def _sign(key: SigningBackend, message: bytes) -> bytes:
    signature = key.sign(message)
    if not key.public_key.verify(message, signature):
        raise IntegrityError("the new key does not verify its own signature.", remedy="Check how its back-end signs.")
    return signature
