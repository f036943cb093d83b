"""Changes of keys where the proxy runs on another host: what the ledger's side drafts, proves, and is told afterwards.

The folder is changed on its own host alone, by `host.py`, with the proxy stopped. From here it is only read, over
mutual TLS and by calls that need no signature, so that a key that is switched off does not stand in the way of its own
end. Invariant: what a carried file says of a change is believed as far as the registry and its keys vouch for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_core.actor import Actor
from ledger_core.base.files import write_once
from ledger_core.ceremony.carried import NextKey, read_told_change
from ledger_core.ceremony.desk import below, is_elsewhere
from ledger_core.ceremony.drafts import COMPROMISE, Wish, draft, needs_successor
from ledger_core.ceremony.evidence import evidence_of, with_key
from ledger_core.ceremony.install import require_room, trust_bytes
from ledger_core.ceremony.record import Done, tell
from ledger_core.ceremony.shown import FromHere, refuse_interrupted_exports
from ledger_core.ceremony.vouched import not_vouched, vouched_change
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, InvalidInput
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import Checkpoint, SignedNote, decode_hash, parse_note
from ledger_core.log.record import format_time
from ledger_core.log.registry import KeyRecord
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.folder import KEYS_FILE

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def remembered(runtime: Runtime) -> dict[str, Checkpoint]:
    """Return by log what the proxy signed last. Nothing is signed for it."""
    return {
        origin: Checkpoint(origin, size, root)
        for origin, (size, root) in sorted(runtime.signer.remembered().items())
        if origin.startswith(runtime.settings.origin_prefix)
    }


def make_draft(
    runtime: Runtime,
    wish: Wish,
    *,
    drop: Callable[[str], None],
    described: NextKey | None,
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[bytes, bytes | None]:
    """Return the payload of the next version, and of a compromise the proofs that go to the proxy's host with it.

    `described` is what the proxy's host said of the key that is to sign, `say` is told where that alone says what was
    signed last. Raises `InvalidInput` where it said nothing and a key is needed.
    """
    registry, last = _asked(runtime, described, say)
    ring = resolve_keys(TrustFile.load(runtime.trust_path), registry)
    wish = with_key(ring, wish)
    sizes = {origin: item.size for origin, item in last.items()}
    needed, is_stolen = needs_successor(ring, wish), wish.action == COMPROMISE
    if needed and described is None:
        raise InvalidInput(
            "another key is to sign, and this host does not reach it.",
            remedy="Run `python -m ledger_core.ceremony.host next` where the proxy runs, and give what it wrote with "
            "--next FILE.",
        )
    if needed and not is_stolen:
        refuse_interrupted_exports(runtime, sizes)
    good = evidence_of(runtime, ring, wish, last, drop)
    payload = draft(
        ring,
        wish,
        sizes=sizes,
        below=below(runtime),
        successor=described.successor if needed and described is not None else None,
        good=good,
        created_at=format_time(runtime.clock()),
    )
    require_room(registry, payload, signatures=len(ring.roots))
    return payload, FromHere(runtime, ring).proofs(good, last) if is_stolen else None


def _asked(
    runtime: Runtime, described: NextKey | None, say: Callable[[str], None]
) -> tuple[list[Envelope], Mapping[str, Checkpoint]]:
    """Return the registry and what was signed last: of the proxy, or of its host where the proxy is down.

    Raises `ConfigurationError` for a log that the host knows and the proxy does not show: it would be left out.
    """
    try:
        registry, last = list(map(parse_envelope, runtime.signer.keys())), remembered(runtime)
    except DependencyError as error:
        # Without its key it does not start again, and then the key can be ended all the same.
        if described is None:
            raise
        say(
            f"the proxy does not answer ({error.message.rstrip('.')}): the registry and the sizes signed last are "
            "those of the file given with --next, which nobody signed; hold them against the archive"
        )
        return list(described.registry), described.last
    if described is not None and (hidden := sorted(described.last.keys() - last.keys())):
        raise ConfigurationError(
            f"the proxy has signed {', '.join(hidden[:5])}, and does not show it to this client.",
            remedy=f"Nothing was drafted. Allow this client {below(runtime)} in the proxy's clients.json for the "
            "draft; if the proxy never signed it, ask who changed the file given with --next.",
        )
    return registry, last


def told_change(runtime: Runtime, path: Path, *, actor: Actor) -> Done:
    """Record in each log the change that the proxy's host made and wrote to `path`; pin its registry in the home.

    Raises `IntegrityError` for a change that the registry does not have, or with lines that its keys did not sign,
    `DependencyError` while the proxy still serves the registry of before.
    """
    if not is_elsewhere(runtime):
        raise ConfigurationError(
            "this home's own proxy changes its keys here.", remedy="`keys install` records a change by itself."
        )
    change = read_told_change(path)
    pinned, registry = TrustFile.load(runtime.trust_path), list(map(parse_envelope, runtime.signer.keys()))
    ring = resolve_keys(pinned, registry)
    if change.version > ring.version:
        raise DependencyError(
            f"the proxy serves version {ring.version} of the registry, the change is version {change.version}.",
            remedy="Start the proxy on the changed folder, then give this command again.",
        )
    if (change.version, change.sha256) not in ring.documents:
        raise IntegrityError(
            f"the registry has no version {change.version} with sha256 {change.sha256:.64}.",
            file=str(path),
            remedy="Take what `python -m ledger_core.ceremony.host install` wrote of this proxy.",
        )
    signed = remembered(runtime)
    change, then = vouched_change(registry, change, signed, path)
    shown = FromHere(runtime, then)
    for origin, item in change.logs.items():
        # Where no key begins nothing was signed of the log: then the tree is the one that the database has.
        if not item.note and not shown.holds(Checkpoint(origin, item.size, decode_hash(item.root))):
            raise not_vouched(path, f"the tree of {origin} at size {item.size}")
    ended = next((item for item in then.keys if item.key.key_id == change.key_id), None)
    change = replace(
        change,
        logs={origin: _with_former(item, ended, shown, change, origin) for origin, item in change.logs.items()},
    )
    _pin(runtime.trust_path, pinned, ring, registry)
    done = tell(runtime, change, actor=actor, was_begun=False)
    # Whoever carries the file may have left one out: what is not said there is said here.
    done.not_recorded.update({origin: "the file says nothing of it" for origin in signed if origin not in change.logs})
    return done


def _with_former(item: LogChange, ended: KeyRecord | None, shown: FromHere, change: Change, origin: str) -> LogChange:
    """Put the line of the key that ended beside the new one's, as the ledger has stored it: two keys meet there."""
    if ended is None or ended.is_compromised or not item.note or change.successor is None:
        return item
    note = parse_note(item.note)
    tree = Checkpoint(origin, item.size, decode_hash(item.root))
    known = {line.key_hash for line in note.signatures}
    former = [line for line in shown.former_lines(ended.key, tree) if line.key_hash not in known]
    return replace(item, note=str(SignedNote(note.text, (*former, *note.signatures))))


def _pin(path: Path, pinned: TrustFile, ring: KeyRing, registry: list[Envelope]) -> None:
    write_once(path.with_name(KEYS_FILE), b"".join(item.to_bytes() + b"\n" for item in registry), mode=0o644)
    write_once(path, trust_bytes(pinned, ring), mode=0o644)
