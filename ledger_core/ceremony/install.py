"""Install a version of the registry that the roots have signed: judged, what it needs signed, written, followed.

Order: the change is kept in a file with everything that has to be signed for it, then the registry is written, which
makes the change; what follows from it (`signing.takeover`) is done here or by the proxy's next start; telling is
`finish`. Killed anywhere, the same command, or any other change of keys, goes on from there. Invariant: no document is
written that a verifier with the home's trust file would not follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger_core.base.files import write_once
from ledger_core.ceremony.seat import Seat
from ledger_core.errors import IntegrityError, Refused
from ledger_core.log.dsse import COMPROMISE_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import MAX_DOCUMENTS, KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import (
    Checkpoint,
    NoteSignature,
    SignedNote,
    checkpoint_text,
    encode_base64,
    parse_note,
)
from ledger_core.log.record import format_time
from ledger_core.log.registries import MAX_KEYS_BYTES
from ledger_core.log.registry import ACTIVE, COMPROMISED, REVOKED, KeyRecord
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.documents import active_key
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE
from ledger_core.signing.memory import bind_state
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.takeover import (
    describe,
    former_keys,
    in_hand,
    install_key_file,
    open_successor,
    remove_old_root,
    write_registry,
)

ACTIONS = {REVOKED: "revoked", COMPROMISED: "compromised"}
MAX_PLACES = 8
"""Where the tree beyond doubt lies: so many are named in a statement."""
MAX_SAID = 500
"""Characters of a place, or of a reason, in a statement; with all of them its record is far below the log's limit."""
SIGNATURE_BYTES = 256
"""Of one root in a document's envelope, at most: of a draft the signatures are still to come."""


def install(seat: Seat, envelope: Envelope) -> Change:
    """Make the change that `envelope` is. Raises `IntegrityError` where the roots did not agree, `Refused` where it
    does not fit what is signed here."""
    require_room(seat.registry, envelope.payload, signatures=len(envelope.signatures))
    before, after = seat.ring, resolve_keys(seat.trust, [*seat.registry, envelope])
    ended, fresh = difference(before, after)
    _require_signed_here(ended, seat.state.all())
    with in_hand(_signing_key(seat, after, fresh)) as key:
        change = _signed(seat, after, ended, fresh, key)
    change.write(seat.folder)
    write_registry(seat.folder, [*seat.registry, envelope])
    follow(seat, after)
    return change


def _signed(
    seat: Seat, after: KeyRing, ended: KeyRecord | None, fresh: KeyRecord | None, key: SigningBackend
) -> Change:
    """Return the change with everything that has to be signed for it."""
    return Change(
        action=action_of(ended),
        version=after.version,
        sha256=after.sha256,
        key_id=ended.key.key_id if ended is not None else None,
        successor=fresh.key.key_id if fresh is not None else None,
        logs={
            origin: _log_change(seat, after, ended, fresh, key, checkpoint)
            for origin, checkpoint in seat.state.all().items()
        },
    )


def follow(seat: Seat, ring: KeyRing) -> None:
    """Do in the folder and beside the trust file what the registry `ring`, written already, asks for."""
    install_key_file(seat.folder, ring)
    active = active_key(ring.keys)
    if active is not None:
        bind_state(seat.state, seat.folder, active.key.key_id, former=former_keys(ring))
    remove_old_root(seat.folder, ring)
    path = seat.trust_path
    write_once(path.with_name(KEYS_FILE), (seat.folder / KEYS_FILE).read_bytes(), mode=0o644)
    write_once(path, trust_bytes(seat.trust, ring), mode=0o644)


def trust_bytes(pinned: TrustFile, ring: KeyRing) -> bytes:
    """Return `pinned` with the registry as it stands: its roots, and its version as the lowest believed."""
    trust = replace(pinned, threshold=ring.threshold, roots=ring.roots, registry_version=ring.version)
    return (json.dumps(trust.as_json(), indent=2) + "\n").encode()


def require_room(registry: Sequence[Envelope], payload: bytes, *, signatures: int) -> None:
    """Raise `Refused` where the registry with `payload` would be more than a verifier reads: nobody could check it."""
    size = sum(len(item.to_bytes()) + 1 for item in registry)
    # A payload stands in its envelope in base64.
    size += len(payload) * 4 // 3 + SIGNATURE_BYTES * (signatures + 1)
    if size > MAX_KEYS_BYTES or len(registry) >= MAX_DOCUMENTS:
        raise Refused(
            f"the key registry would have {len(registry) + 1:,} versions and some {size:,} bytes; verifiers read "
            f"{MAX_DOCUMENTS:,} and {MAX_KEYS_BYTES:,}.",
            remedy="Nothing was changed. Begin the next books under another origin, with a registry of its own.",
        )


def difference(before: KeyRing, after: KeyRing) -> tuple[KeyRecord | None, KeyRecord | None]:
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
    if any(item.status != ACTIVE and part.origin.endswith("/*") for item in ended for part in item.valid):
        raise Refused("the key that ends would count on in logs that are opened later.", remedy="Draft again.")
    return (ended[0] if ended else None), (fresh[0] if fresh else None)


def action_of(ended: KeyRecord | None) -> str:
    return "roots" if ended is None else ACTIONS.get(ended.status, "rotated")


def _signing_key(seat: Seat, after: KeyRing, fresh: KeyRecord | None) -> SigningBackend:
    """Return the key that signs after the change. Raises `Refused` when the registry names one that is not here, or
    says of a new one that it is kept otherwise than it is: every verifier repeats that."""
    if fresh is not None:
        key = open_successor(seat.folder, seat.settings, seat.ring)
        wanted = fresh
    else:
        key = choose_backend(seat.settings).open_key(seat.settings, seat.folder)
        wanted = active_key(after.keys) or after.keys[-1]
    told, here = (wanted.key.key_id, wanted.backend, wanted.assurance), describe(key)
    found = (here.key.key_id, here.backend, here.assurance)
    if found != told if fresh is not None else found[0] != told[0]:
        with in_hand(key):
            raise Refused(
                f"the registry lets {_named(*told)} sign, the key here is {_named(*found)}.",
                remedy="Install the newest draft, or draft again; ask who changed the draft, or the description of the "
                "key, on its way.",
            )
    return key


def _named(key_id: str, backend: str, assurance: str) -> str:
    return f"{key_id[:16]} ({backend:.40}, {assurance:.40})"


def _require_signed_here(ended: KeyRecord | None, last: Mapping[str, Checkpoint]) -> None:
    """Raise `Refused` where a stolen key would count on in a tree that the witness never signed."""
    for part in ended.valid if ended is not None and ended.is_compromised else ():
        tip = last.get(part.origin)
        if part.root is None or part.to_size is None:
            continue
        if tip is None or tip.size < part.to_size or (tip.size == part.to_size and tip.root != part.root):
            raise Refused(
                f"the draft calls good a tree that was not signed here: {part.origin} at size {part.to_size:,}, "
                f"signed {f'to {tip.size:,}' if tip is not None else 'not at all'}.",
                remedy="Draft again by what this proxy signed last; ask where the sizes and the evidence came from.",
            )


def _log_change(
    seat: Seat,
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
    if fresh is not None and not stolen and not ended.ranges(last.origin):
        raise Refused(
            f"the draft has expired: {last.origin} was opened since, and the key that ends has signed it.",
            remedy="Draft again.",
        )
    if fresh is not None and not (
        fresh.is_valid_at(last.origin, last.size) and (stolen or ended.is_valid_at(last.origin, last.size))
    ):
        raise Refused(
            f"the draft has expired: {last.origin} is signed to size {last.size:,}, which it does not leave to both "
            "keys.",
            remedy="Draft again, with a --window of as many records as are signed until the roots have agreed.",
        )
    lines = [] if stolen or fresh is None else _former_lines(seat, ended, last)
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
        statement=_statement(seat, after, ended, key, tree, last),
    )


def _note(checkpoint: Checkpoint, key: SigningBackend, former: list[NoteSignature]) -> str:
    text = checkpoint_text(checkpoint.origin, checkpoint.size, checkpoint.root)
    line = NoteSignature(checkpoint.origin, key.public_key.note_hash(checkpoint.origin), _sign(key, text.encode()))
    return str(SignedNote(text, (*former, line)))


def _former_lines(seat: Seat, ended: KeyRecord, last: Checkpoint) -> list[NoteSignature]:
    """Return the old key's line over the checkpoint at which it ends: made now, or as it is stored elsewhere."""
    path = seat.folder / KEY_FILE
    if path.exists() and (old := software.load(path)).public_key.key_id == ended.key.key_id:
        return list(parse_note(_note(last, old, [])).signatures)
    return seat.shown.former_lines(ended.key, last)


def _statement(
    seat: Seat, after: KeyRing, ended: KeyRecord, key: SigningBackend, good: Checkpoint | None, tip: Checkpoint
) -> str:
    """Return the signed statement of a compromise for one log, with its tip where that is shown to contain `good`."""
    said = seat.shown.why_not_proved(good, tip)
    why_not = None if said is None else _short(said)
    places = [] if good is None else list(dict.fromkeys(map(_short, seat.shown.places(good))))
    payload: dict[str, Any] = {
        "created_at": format_time(seat.now()),
        "evidence": places[:MAX_PLACES],
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


def _short(text: str) -> str:
    """Return `text` as a statement has it: what somebody else wrote must not make it too large for the log."""
    plain = text.encode("utf-8", "replace").decode()
    return plain if len(plain) <= MAX_SAID else f"{plain[: MAX_SAID - 1]}…"


def _sign(key: SigningBackend, message: bytes) -> bytes:
    signature = key.sign(message)
    if not key.public_key.verify(message, signature):
        raise IntegrityError("the new key does not verify its own signature.", remedy="Check how its back-end signs.")
    return signature
