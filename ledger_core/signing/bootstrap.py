"""The proxy's first start (key, 1-of-1 root, registry version 1, trust file), and every later one from that folder.

Not the choice of who signs, which is `open.py`'s; the root of a first start is a key in a file whatever that is.
Each file appears whole or not at all, the state first and the trust file last, so that a start that was killed is
simply continued; so is a change of keys that the registry has and the folder not yet (`takeover.py`). Two things are
never made up: a state where a key exists (`memory.py` asks whether it is the one that the key had), and another root
where a trust file pins one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ledger_core.base.files import write_once
from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.object_tree import Place
from ledger_core.log.record import format_time
from ledger_core.log.registry import (
    CHECKPOINT_PURPOSE,
    DSSE_PURPOSE,
    NO_PREVIOUS,
    KeyRecord,
    Validity,
    parse_registry,
    registry_payload,
)
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.anchors import newest_anchors, refuse_older
from ledger_core.signing.backends.software import load, load_or_create, refuse_in_production
from ledger_core.signing.change import overlap
from ledger_core.signing.folder import KEYS_FILE, ROOT_FILE, STATE_FILE
from ledger_core.signing.memory import bind_state, open_state
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.service import Policy, SigningService
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import former_keys, install_key_file, read_registry, require_active


def open_service(
    folder: Path,
    *,
    trust_path: Path,
    origin_prefix: str,
    settings: SignerSettings,
    clock: Callable[[], datetime],
    archive: Place | None = None,
    wrap: Callable[[SigningBackend], SigningBackend] = lambda key: key,
) -> SigningService:
    """Return the service over `folder`, making at the first start what it needs; `wrap` is put around the key.

    `archive` holds anchored checkpoints, against which the state is compared. Raises `ConfigurationError` in
    production, for a key without the state that it used last, and for a trust file that pins other roots.
    """
    backend = choose_backend(settings)
    if (folder / ROOT_FILE).exists() or not (folder / KEYS_FILE).exists():
        # A root that is made here, or was, is a key in a file too.
        refuse_in_production(settings.env)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    state = open_state(folder)
    try:
        known = _known_ring(folder, trust_path, origin_prefix)
        if known is not None:
            install_key_file(folder, known)
        key = wrap(backend.open_key(settings, folder))
        return _serve(folder, state, key, known, trust_path, origin_prefix, clock, archive)
    except CounterfoilError:
        state.close()
        raise


def _serve(
    folder: Path,
    state: WitnessState,
    key: SigningBackend,
    known: KeyRing | None,
    trust_path: Path,
    origin_prefix: str,
    clock: Callable[[], datetime],
    archive: Place | None,
) -> SigningService:
    former = former_keys(known)
    if known is not None and key.public_key.key_id in former:
        require_active(known, key.public_key.key_id, folder)
    bind_state(state, folder, key.public_key.key_id, former=former)
    if known is not None:
        require_active(known, key.public_key.key_id, folder)
    policy = Policy(origin_prefix=origin_prefix)
    if known is None:
        root = load_or_create(folder / ROOT_FILE)
        trust = TrustFile(origin=below(origin_prefix), threshold=1, roots=(root.public_key,))
        first = first_registry(key, root, trust.origin, clock())
        write_once(folder / KEYS_FILE, first.to_bytes() + b"\n", mode=0o600)
    else:
        trust = TrustFile(origin=below(origin_prefix), threshold=known.threshold, roots=known.roots)
    registry = read_registry(folder)
    _pin(trust_path, trust)
    ring = resolve_keys(TrustFile.load(trust_path), registry)
    # The registry is public; beside the trust file it serves proofs that carry none.
    write_once(trust_path.with_name(KEYS_FILE), (folder / KEYS_FILE).read_bytes(), mode=0o644)
    anchors = {} if archive is None else newest_anchors(archive, ring, policy.allows, known=state.origins())
    refuse_older(state.last, anchors, folder / STATE_FILE)
    hashes = {origin: key.public_key.note_hash(origin) for origin in state.origins()}
    return SigningService(
        backend=key,
        state=state,
        ring=ring,
        registry=registry,
        policy=policy,
        confirmed=anchors,
        overlap=overlap(folder, hashes),
    )


def below(origin_prefix: str) -> str:
    """Return the wildcard of the logs that are signed under `origin_prefix`."""
    return f"{origin_prefix.rstrip('/')}/*"


def _known_ring(folder: Path, trust_path: Path, origin_prefix: str) -> KeyRing | None:
    """Return what the folder's registry says to whom the trust file pins, None at the first start."""
    if not (folder / KEYS_FILE).exists():
        return None
    registry = read_registry(folder)
    if trust_path.exists():
        pinned = TrustFile.load(trust_path)
        _refuse_other_roots(trust_path, pinned, folder)
        return resolve_keys(pinned, registry)
    # A first start that was killed before it wrote the trust file, or one whose trust file is gone.
    if not (folder / ROOT_FILE).exists():
        raise ConfigurationError(
            "there is no trust file, and no root to make it of.",
            file=str(trust_path),
            remedy="Restore the trust file that the auditors have.",
        )
    root = load(folder / ROOT_FILE)
    return resolve_keys(TrustFile(origin=below(origin_prefix), threshold=1, roots=(root.public_key,)), registry)


def first_registry(key: SigningBackend, root: SigningBackend, origin: str, created_at: datetime) -> Envelope:
    """Return registry version 1: `key` signs everything below `origin` from size 0 on, and `root` says so."""
    record = KeyRecord(
        key=key.public_key,
        backend=key.name,
        assurance=key.assurance,
        status="active",
        purposes=(CHECKPOINT_PURPOSE, DSSE_PURPOSE),
        valid=(Validity(origin=origin, from_size=0, to_size=None),),
    )
    payload = registry_payload(
        version=1,
        previous_sha256=NO_PREVIOUS,
        roots=[root.public_key],
        threshold=1,
        keys=[record],
        created_at=format_time(created_at),
    )
    signature = root.sign(pae(KEYS_TYPE, payload))
    return Envelope(KEYS_TYPE, payload, (EnvelopeSignature(root.public_key.key_id, signature),))


def _pin(path: Path, trust: TrustFile) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_once(path, (json.dumps(trust.as_json(), indent=2) + "\n").encode(), mode=0o644)


def _refuse_other_roots(path: Path, pinned: TrustFile, folder: Path) -> None:
    """Raise `ConfigurationError` for a trust file whose roots never stood in the folder's registry."""
    known = {root.key_id for envelope in read_registry(folder) for root in parse_registry(envelope.payload).roots}
    if known.isdisjoint(key.key_id for key in pinned.roots):
        raise ConfigurationError(
            "the trust file pins another root than the one in the signer's folder.",
            file=str(path),
            remedy="Restore the signer's folder that belongs to this home; do not replace the trust file.",
        )
