"""The door of the ceremony: draft a change, make it at once where the root is at hand, install one that was signed.

Each function can be killed anywhere and called again: a change that was begun is finished first, and is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.base.files import private_folder, write_once
from ledger_core.ceremony.desk import Desk, at_desk, below, signer_folder
from ledger_core.ceremony.drafts import COMPROMISE, ROOTS, Wish, draft, needs_successor
from ledger_core.ceremony.good import Evidence, archived, kept, largest
from ledger_core.ceremony.install import follow, install, refuse_interrupted_exports, trust_bytes
from ledger_core.ceremony.offline import merge, sign_draft
from ledger_core.errors import ConfigurationError, InvalidInput, NotFound, Refused
from ledger_core.evidence.export.segment import only_exporter
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.record import format_time
from ledger_core.log.registry import COMPROMISED, parse_registry
from ledger_core.ports import Ask, Posted, RecordDraft
from ledger_core.reading.heads import read_head
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, LogChange, forget_change, read_change
from ledger_core.signing.documents import active_key
from ledger_core.signing.folder import ROOT_FILE
from ledger_core.signing.takeover import describe, open_successor, read_registry

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

STATEMENTS_FOLDER = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A change that is through: the `signing_key` record of each log, and why a log has none here."""

    change: Change
    was_begun: bool
    recorded: dict[str, int] = field(default_factory=dict)
    not_recorded: dict[str, str] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)


def make_draft(runtime: Runtime, wish: Wish) -> bytes:
    """Return the payload of the next version for the roots to sign, by what is signed now. Changes nothing."""
    folder = signer_folder(runtime)
    ring = resolve_keys(TrustFile.load(runtime.trust_path), read_registry(folder))
    wish = _with_key(ring, wish)
    sizes: dict[str, int] = runtime.signer.health()["signed_sizes"]
    successor = None
    if needs_successor(ring, wish):
        successor = describe(open_successor(folder, load_signer_settings(), ring))
    return draft(
        ring,
        wish,
        sizes=sizes,
        below=below(runtime),
        successor=successor,
        good={origin: item.checkpoint for origin, item in evidence_of(runtime, ring, wish, list(sizes)).items()},
        created_at=format_time(runtime.clock()),
    )


def change_now(runtime: Runtime, wish: Wish, *, actor: Actor) -> Done:
    """Draft, sign with the root in the signer's folder, and install.

    Raises `ConfigurationError` where the root is kept elsewhere.
    """
    begun = resume(runtime, actor=actor)
    if begun is not None:
        return begun
    with _without_exports(runtime, is_stolen=wish.action == COMPROMISE), at_desk(runtime) as desk:
        path = desk.folder / ROOT_FILE
        if not path.exists():
            raise ConfigurationError(
                "the roots are not kept here.",
                file=str(path),
                remedy="Draft it with --draft FILE, have the roots sign that, and `keys install` what they signed.",
            )
        change = install(desk, sign_draft(_payload(desk, wish), software.load(path)))
    return _tell(runtime, change, actor=actor, was_begun=False)


def install_files(runtime: Runtime, files: Sequence[Path], *, actor: Actor) -> Done:
    """Install the version that `files`, drafts signed by one root each or more, make together.

    Raises `IntegrityError` where a threshold is not there, `Refused` for a draft that was outgrown.
    """
    envelope = merge(files)
    begun = resume(runtime, actor=actor)
    if begun is not None and _is_installed(begun.change, envelope):
        return begun
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
    return _tell(runtime, change, actor=actor, was_begun=False)


def resume(runtime: Runtime, *, actor: Actor) -> Done | None:
    """Finish the change that was begun, and forget one that the registry does not have; None when there is none."""
    folder = signer_folder(runtime)
    change = read_change(folder)
    if change is None:
        return None
    with at_desk(runtime) as desk:
        if (change.version, change.sha256) not in desk.ring.documents:
            forget_change(folder)
            return None
        follow(desk, desk.ring)
    return _tell(runtime, change, actor=actor, was_begun=True)


def current_trust(runtime: Runtime) -> tuple[bytes, bytes]:
    """Return the trust file that pins the registry as it stands, and that registry, to lie beside it.

    Without the second, an auditor could not tell an archive of before the last change from one that was cut.
    """
    pinned = TrustFile.load(runtime.trust_path)
    registry = list(map(parse_envelope, runtime.signer.keys()))
    documents = b"".join(item.to_bytes() + b"\n" for item in registry)
    return trust_bytes(pinned.origin, resolve_keys(pinned, registry)), documents


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


def evidence_of(runtime: Runtime, ring: KeyRing, wish: Wish, origins: Sequence[str]) -> dict[str, Evidence]:
    """Return by log the largest tree beyond doubt; nothing unless a key was stolen."""
    if wish.action != COMPROMISE:
        return {}
    found = kept(wish.known, ring)
    for origin in origins:
        found += archived(runtime.archive, ring, origin, before=wish.before)
    if strange := {item.checkpoint.origin for item in found} - set(origins):
        raise InvalidInput(
            f"nothing of {min(strange)} was signed here.", remedy="Give checkpoints of this home's logs."
        )
    return largest(found)


@contextmanager
def _without_exports(runtime: Runtime, *, is_stolen: bool) -> Iterator[None]:
    """Let no export run meanwhile: its manifest would end where the new key does not count any more.

    A stolen key does not wait for one. Raises `DependencyError` while one runs.
    """
    with ExitStack() as stack:
        for origin in () if is_stolen else runtime.signer.health()["signed_sizes"]:
            stack.enter_context(only_exporter(runtime.engine, origin.rpartition("/")[2]))
        yield


def _payload(desk: Desk, wish: Wish) -> bytes:
    sizes = desk.state.sizes()
    wish = _with_key(desk.ring, wish)
    successor = None
    if needs_successor(desk.ring, wish):
        _refuse_half_exports(desk, is_stolen=wish.action == COMPROMISE)
        successor = describe(open_successor(desk.folder, desk.settings, desk.ring))
    evidence = evidence_of(desk.runtime, desk.ring, wish, list(sizes))
    return draft(
        desk.ring,
        wish,
        sizes=sizes,
        below=desk.below,
        successor=successor,
        good={origin: item.checkpoint for origin, item in evidence.items()},
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


def _tell(runtime: Runtime, change: Change, *, actor: Actor, was_begun: bool) -> Done:
    """Append the record to each log that is here, write the statements down, and be through with the change."""
    done = Done(change=change, was_begun=was_begun)
    for origin, item in change.logs.items():
        book = origin.rpartition("/")[2]
        try:
            with runtime.engine.connect() as connection:
                if read_head(connection, book).origin != origin:
                    raise NotFound(f"book {book} here is another log.")
        except NotFound as error:
            done.not_recorded[origin] = error.message
            continue
        ask = Ask(actor=actor, route="signing_key", key=f"signing_key/{change.version}")
        record = RecordDraft(kind="signing_key", body=_body(change, item))
        answer = runtime.ledger(book).append([record], ask, atomic=True)
        posted = answer.items[0]
        assert isinstance(posted, Posted), "an atomic request raises what it is refused"
        done.recorded[origin] = posted.seq
    folder = runtime.home / STATEMENTS_FOLDER
    for origin, item in change.logs.items():
        if item.statement is not None:
            private_folder(folder)
            path = folder / f"compromise-{change.version}-{origin.rpartition('/')[2]}.dsse.json"
            write_once(path, item.statement.encode() + b"\n", mode=0o644)
            done.statements.append(str(path))
    forget_change(signer_folder(runtime))
    return done


def _body(change: Change, item: LogChange) -> dict[str, Any]:
    said = {
        "action": change.action,
        "key_id": change.key_id,
        "successor": change.successor,
        "registry_version": change.version,
        "registry_sha256": change.sha256,
        "size": item.size,
        "root": item.root,
        "note": item.note or None,
        "good_size": item.good_size,
        "good_root": item.good_root,
        "good_note": item.good_note,
        "statement": item.statement,
    }
    return {name: value for name, value in said.items() if value is not None}
