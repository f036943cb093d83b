"""The door of the ceremony: draft a change, make it at once where the root is at hand, install one that was signed.

Each function can be killed anywhere and called again: a change that was begun is made whole first, and is the answer
where it is the one that is asked for. Of another one what was not told yet is told with the one that comes now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.ceremony.desk import Desk, at_desk, below, signer_folder
from ledger_core.ceremony.drafts import COMPROMISE, REVOKE, ROOTS, ROTATE, Wish, draft, needs_successor
from ledger_core.ceremony.good import archived, kept, weigh
from ledger_core.ceremony.install import (
    follow,
    install,
    last_checkpoints,
    refuse_interrupted_exports,
    trust_bytes,
)
from ledger_core.ceremony.offline import merge, read_public, sign_draft
from ledger_core.ceremony.record import Done, finish, through
from ledger_core.errors import ConfigurationError, InvalidInput, NotFound, Refused
from ledger_core.evidence.export.segment import only_exporter
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.record import format_time
from ledger_core.log.registry import COMPROMISED, parse_registry
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, forget_change, read_change, set_aside
from ledger_core.signing.documents import active_key
from ledger_core.signing.folder import ROOT_FILE
from ledger_core.signing.takeover import describe, drop_next_key, open_successor, read_registry

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

ASKED = {ROTATE: "rotated", REVOKE: "revoked", COMPROMISE: "compromised", ROOTS: "roots"}
"""What a change is called by what was asked for."""


def make_draft(runtime: Runtime, wish: Wish, *, drop: Callable[[str], None] = lambda _line: None) -> bytes:
    """Return the payload of the next version for the roots to sign, by what is signed now.

    Changes nothing but which key waits to sign next. `drop` is told of evidence that does not count.
    """
    folder = signer_folder(runtime)
    ring = resolve_keys(TrustFile.load(runtime.trust_path), read_registry(folder))
    wish = _with_key(ring, wish)
    sizes: dict[str, int] = runtime.signer.health()["signed_sizes"]
    successor = None
    if needs_successor(ring, wish):
        is_stolen = wish.action == COMPROMISE
        successor = describe(open_successor(folder, load_signer_settings(), ring, fresh=is_stolen))
    elif wish.action == COMPROMISE:
        drop_next_key(folder, ring)
    last = {origin: _signed_last(runtime, origin) for origin in sizes} if wish.action == COMPROMISE else {}
    return draft(
        ring,
        wish,
        sizes=sizes,
        below=below(runtime),
        successor=successor,
        good=evidence_of(runtime, ring, wish, last, drop),
        created_at=format_time(runtime.clock()),
    )


def change_now(runtime: Runtime, wish: Wish, *, actor: Actor) -> Done:
    """Draft, sign with the root in the signer's folder, and install.

    Raises `ConfigurationError` where the root is kept elsewhere.
    """
    begun = resume(runtime)
    if begun is not None and is_asked(runtime, begun, wish):
        return finish(runtime, begun, actor=actor)
    if begun is not None:
        set_aside(signer_folder(runtime), begun)
    dropped: list[str] = []
    with _without_exports(runtime, is_stolen=wish.action == COMPROMISE), at_desk(runtime) as desk:
        path = desk.folder / ROOT_FILE
        if not path.exists():
            raise ConfigurationError(
                "the roots are not kept here.",
                file=str(path),
                remedy="Draft it with --draft FILE, have the roots sign that, and `keys install` what they signed.",
            )
        change = install(desk, sign_draft(_payload(desk, wish, dropped.append), software.load(path)))
    return through(runtime, change, actor=actor, dropped=dropped)


def install_files(runtime: Runtime, files: Sequence[Path], *, actor: Actor) -> Done:
    """Install the version that `files`, drafts signed by one root each or more, make together.

    Raises `IntegrityError` where a threshold is not there, `Refused` for a draft that was outgrown.
    """
    envelope = merge(files)
    begun = resume(runtime)
    if begun is not None and _is_installed(begun, envelope):
        return finish(runtime, begun, actor=actor)
    if begun is not None:
        set_aside(signer_folder(runtime), begun)
    document = parse_registry(envelope.payload)
    stolen = {item.key.key_id for item in document.keys if item.is_compromised}
    is_stolen = stolen > {item["key_id"] for item in listing(runtime)["keys"] if item["status"] == COMPROMISED}
    with _without_exports(runtime, is_stolen=is_stolen), at_desk(runtime) as desk:
        if document.version != desk.ring.version + 1:
            raise Refused(
                f"the registry stands at version {desk.ring.version}, this is version {document.version}.",
                remedy="Versions follow each other without a gap. Draft again, from the registry as it is.",
            )
        if any(item.key.key_id not in {key.key.key_id for key in desk.ring.keys} for item in document.keys):
            _refuse_half_exports(desk, is_stolen=is_stolen)
        change = install(desk, envelope)
    return through(runtime, change, actor=actor)


def resume(runtime: Runtime) -> Change | None:
    """Return the change that was begun, made and not told yet; forget one that the registry does not have."""
    folder = signer_folder(runtime)
    change = read_change(folder)
    if change is None:
        return None
    with at_desk(runtime) as desk:
        if (change.version, change.sha256) not in desk.ring.documents:
            forget_change(folder)
            return None
        follow(desk, desk.ring)
    return change


def is_asked(runtime: Runtime, begun: Change, wish: Wish) -> bool:
    """Say whether the change that was begun is the one that is asked for: its action, its key and its roots."""
    if ASKED[wish.action] != begun.action:
        return False
    if wish.action in (REVOKE, COMPROMISE):
        # Without a name the key that signed was meant, which has a successor.
        is_key = begun.successor is not None if wish.key is None else (begun.key_id or "").startswith(wish.key.lower())
        if not is_key:
            return False
    ring = resolve_keys(TrustFile.load(runtime.trust_path), read_registry(signer_folder(runtime)))
    roots = {root.key_id for root in ring.roots}
    return (
        wish.roots.threshold in (None, ring.threshold)
        and all(read_public(path).key_id in roots for path in wish.roots.add)
        and not any(root.startswith(named.lower()) for named in wish.roots.remove for root in roots)
    )


def current_trust(runtime: Runtime) -> tuple[bytes, bytes]:
    """Return the trust file that pins the registry as it stands, and that registry, to lie beside it.

    Without the second, an auditor could not tell an archive of before the last change from one that was cut.
    """
    pinned = TrustFile.load(runtime.trust_path)
    registry = list(map(parse_envelope, runtime.signer.keys()))
    documents = b"".join(item.to_bytes() + b"\n" for item in registry)
    return trust_bytes(pinned, resolve_keys(pinned, registry)), documents


def listing(runtime: Runtime) -> dict[str, Any]:
    """Return the registry as it stands: version, roots, keys with their ranges, and a change that is under way."""
    pinned = TrustFile.load(runtime.trust_path)
    ring = resolve_keys(pinned, map(parse_envelope, runtime.signer.keys()))
    change = read_change(runtime.home / "signer")
    return {
        "version": ring.version,
        "sha256": ring.sha256,
        "pinned_version": pinned.registry_version,
        "roots": {"threshold": ring.threshold, "keys": [root.key_id for root in ring.roots]},
        "keys": [item.as_json() for item in ring.keys],
        "signed_sizes": runtime.signer.health()["signed_sizes"],
        "under_way": None if change is None else {"action": change.action, "version": change.version},
    }


def evidence_of(
    runtime: Runtime, ring: KeyRing, wish: Wish, last: Mapping[str, Checkpoint], drop: Callable[[str], None]
) -> dict[str, Checkpoint]:
    """Return by log the largest tree beyond doubt, by what the witness signed `last`; nothing unless a key was
    stolen."""
    if wish.action != COMPROMISE:
        return {}
    known = kept(wish.known, ring)
    if strange := {item.checkpoint.origin for item in known} - last.keys():
        raise InvalidInput(
            f"nothing of {min(strange)} was signed here.", remedy="Give checkpoints of this home's logs."
        )
    vouched = {item.checkpoint.origin for item in known}
    found = [
        item
        for origin in last
        if origin not in vouched
        for item in archived(runtime.archive, ring, origin, before=wish.before)
    ]
    return {origin: item.checkpoint for origin, item in weigh(known, found, last, drop).items()}


def _signed_last(runtime: Runtime, origin: str) -> Checkpoint:
    note = runtime.signer.latest(origin)
    if note is None:
        raise NotFound(f"the proxy has no checkpoint of {origin}.", remedy="See docs/runbooks/signing-state.md.")
    return parse_checkpoint(parse_note(note).text)


@contextmanager
def _without_exports(runtime: Runtime, *, is_stolen: bool) -> Iterator[None]:
    """Let no export run meanwhile: its manifest would end where the new key does not count any more.

    A stolen key does not wait for one. Raises `DependencyError` while one runs.
    """
    with ExitStack() as stack:
        for origin in () if is_stolen else runtime.signer.health()["signed_sizes"]:
            stack.enter_context(only_exporter(runtime.engine, origin.rpartition("/")[2]))
        yield


def _payload(desk: Desk, wish: Wish, drop: Callable[[str], None]) -> bytes:
    sizes = desk.state.sizes()
    wish = _with_key(desk.ring, wish)
    successor, is_stolen = None, wish.action == COMPROMISE
    if needs_successor(desk.ring, wish):
        _refuse_half_exports(desk, is_stolen=is_stolen)
        successor = describe(open_successor(desk.folder, desk.settings, desk.ring, fresh=is_stolen))
    elif is_stolen:
        drop_next_key(desk.folder, desk.ring)
    return draft(
        desk.ring,
        wish,
        sizes=sizes,
        below=desk.below,
        successor=successor,
        good=evidence_of(desk.runtime, desk.ring, wish, last_checkpoints(desk), drop),
        created_at=format_time(desk.runtime.clock()),
    )


def _refuse_half_exports(desk: Desk, *, is_stolen: bool) -> None:
    # A stolen key is ended at once, whatever else is not finished.
    if not is_stolen:
        refuse_interrupted_exports(desk.runtime, desk.state.sizes())


def _with_key(ring: KeyRing, wish: Wish) -> Wish:
    """Let a wish that names no key mean the one that signs now."""
    active = active_key(ring.keys)
    if wish.action == ROOTS or wish.key is not None or active is None:
        return wish
    return replace(wish, key=active.key.key_id)


def _is_installed(change: Change, envelope: Envelope) -> bool:
    return change.sha256 == sha256(envelope.payload).hexdigest()
