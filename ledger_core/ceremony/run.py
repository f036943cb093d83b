"""The door of the ceremony: draft a change, make it at once where the root is at hand, install one that was signed.

Each function can be killed anywhere and called again: a change that was begun is made whole first, and is the answer
where it is the one that is asked for. Of another one what was not told yet is told with the one that comes now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.ceremony import elsewhere
from ledger_core.ceremony.carried import read_next_key
from ledger_core.ceremony.desk import Desk, at_desk, below, is_elsewhere, signer_folder
from ledger_core.ceremony.drafts import COMPROMISE, REVOKE, ROOTS, ROTATE, Wish, draft, needs_successor
from ledger_core.ceremony.evidence import evidence_of, with_key
from ledger_core.ceremony.install import follow, install, require_room, trust_bytes
from ledger_core.ceremony.offline import merge, read_public, sign_draft
from ledger_core.ceremony.record import Done, finish, through
from ledger_core.ceremony.seat import remembered
from ledger_core.ceremony.shown import refuse_interrupted_exports
from ledger_core.errors import ConfigurationError, InvalidInput, Refused
from ledger_core.evidence.export.segment import only_exporter
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.record import format_time
from ledger_core.log.registry import parse_registry
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, forget_change, read_change, set_aside
from ledger_core.signing.folder import ROOT_FILE
from ledger_core.signing.takeover import describe_successor, drop_next_key, read_registry

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

ASKED = {ROTATE: "rotated", REVOKE: "revoked", COMPROMISE: "compromised", ROOTS: "roots"}
"""What a change is called by what was asked for."""


def make_draft(runtime: Runtime, wish: Wish, *, drop: Callable[[str], None] = lambda _line: None) -> bytes:
    """Return the payload of the next version for the roots to sign, by what was signed last.

    Changes nothing but which key waits to sign next. `drop` is told of evidence that does not count.
    """
    folder = signer_folder(runtime)
    ring = resolve_keys(TrustFile.load(runtime.trust_path), registry := read_registry(folder))
    wish, last = with_key(ring, wish), remembered(folder)
    successor = None
    if needs_successor(ring, wish):
        is_stolen = wish.action == COMPROMISE
        successor = describe_successor(folder, load_signer_settings(), ring, fresh=is_stolen)
    elif wish.action == COMPROMISE:
        drop_next_key(folder, ring)
    payload = draft(
        ring,
        wish,
        sizes={origin: item.size for origin, item in last.items()},
        below=below(runtime),
        successor=successor,
        good=evidence_of(runtime, ring, wish, last, drop),
        created_at=format_time(runtime.clock()),
    )
    require_room(registry, payload, signatures=len(ring.roots))
    return payload


def make_draft_files(
    runtime: Runtime,
    wish: Wish,
    *,
    next_key: Path | None = None,
    drop: Callable[[str], None] = lambda _line: None,
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[bytes, bytes | None]:
    """Return what `make_draft` does, and the proofs that go with it to the proxy's host, where it needs some.

    `next_key` is the file in which the proxy's host described the key that is to sign; `say` is told what of it is
    used that nobody else says.
    """
    if is_elsewhere(runtime):
        described = None if next_key is None else read_next_key(next_key)
        return elsewhere.make_draft(runtime, wish, drop=drop, described=described, say=say)
    if next_key is not None:
        raise InvalidInput("the next key is made here.", remedy="Leave --next out: it is for a proxy on another host.")
    return make_draft(runtime, wish, drop=drop), None


def record_change(runtime: Runtime, told: Path, *, actor: Actor) -> Done:
    """Record the change that the proxy's host made and wrote to the file `told`. Raises as
    `elsewhere.told_change` does."""
    return elsewhere.told_change(runtime, told, actor=actor)


def change_now(runtime: Runtime, wish: Wish, *, actor: Actor) -> Done:
    """Draft, sign with the root in the signer's folder, and install.

    Raises `ConfigurationError` where the root is kept elsewhere.
    """
    folder = signer_folder(runtime)
    begun = resume(runtime)
    if begun is not None and is_asked(runtime, begun, wish):
        return finish(runtime, begun, actor=actor)
    if begun is not None:
        set_aside(folder, begun)
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
    ring = resolve_keys(TrustFile.load(runtime.trust_path), read_registry(signer_folder(runtime)))
    stolen = {item.key.key_id for item in document.keys if item.is_compromised}
    is_stolen = stolen > {item.key.key_id for item in ring.keys if item.is_compromised}
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
    pinned, registry = TrustFile.load(runtime.trust_path), _registry(runtime)
    documents = b"".join(item.to_bytes() + b"\n" for item in registry)
    return trust_bytes(pinned, resolve_keys(pinned, registry)), documents


def listing(runtime: Runtime) -> dict[str, Any]:
    """Return the registry as it stands: version, roots, keys with their ranges, and a change that is under way.

    Nothing is signed for it, so that it answers while the key is switched off.
    """
    pinned = TrustFile.load(runtime.trust_path)
    ring = resolve_keys(pinned, _registry(runtime))
    change = None if is_elsewhere(runtime) else read_change(signer_folder(runtime))
    last = elsewhere.remembered(runtime) if is_elsewhere(runtime) else remembered(signer_folder(runtime))
    return {
        "version": ring.version,
        "sha256": ring.sha256,
        "pinned_version": pinned.registry_version,
        "roots": {"threshold": ring.threshold, "keys": [root.key_id for root in ring.roots]},
        "keys": [item.as_json() for item in ring.keys],
        "signed_sizes": {origin: item.size for origin, item in last.items()},
        "under_way": None if change is None else {"action": change.action, "version": change.version},
    }


def _registry(runtime: Runtime) -> list[Envelope]:
    if is_elsewhere(runtime):
        return list(map(parse_envelope, runtime.signer.keys()))
    return read_registry(signer_folder(runtime))


@contextmanager
def _without_exports(runtime: Runtime, *, is_stolen: bool) -> Iterator[None]:
    """Let no export run meanwhile: its manifest would end where the new key does not count any more.

    A stolen key does not wait for one. Raises `DependencyError` while one runs.
    """
    with ExitStack() as stack:
        for origin in () if is_stolen else remembered(signer_folder(runtime)):
            stack.enter_context(only_exporter(runtime.engine, origin.rpartition("/")[2]))
        yield


def _payload(desk: Desk, wish: Wish, drop: Callable[[str], None]) -> bytes:
    sizes = desk.state.sizes()
    wish = with_key(desk.ring, wish)
    successor, is_stolen = None, wish.action == COMPROMISE
    if needs_successor(desk.ring, wish):
        _refuse_half_exports(desk, is_stolen=is_stolen)
        successor = describe_successor(desk.folder, desk.settings, desk.ring, fresh=is_stolen)
    elif is_stolen:
        drop_next_key(desk.folder, desk.ring)
    return draft(
        desk.ring,
        wish,
        sizes=sizes,
        below=desk.below,
        successor=successor,
        good=evidence_of(desk.runtime, desk.ring, wish, desk.state.all(), drop),
        created_at=format_time(desk.runtime.clock()),
    )


def _refuse_half_exports(desk: Desk, *, is_stolen: bool) -> None:
    # A stolen key is ended at once, whatever else is not finished.
    if not is_stolen:
        refuse_interrupted_exports(desk.runtime, desk.state.sizes())


def _is_installed(change: Change, envelope: Envelope) -> bool:
    return change.sha256 == sha256(envelope.payload).hexdigest()
