"""The proxy's first start (key, 1-of-1 root, registry version 1, trust file), and every later one from that folder.

Not the choice of who signs, which is `open.py`'s; the root of a first start is a key in a file whatever that is.
Each file appears whole or not at all, the state first and the trust file last, so that a start that was killed is
simply continued. Two things are never made up: a state where a key exists (`memory.py` asks whether it is the one that
the key had), and another root where a trust file pins one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ledger_core.base.files import write_once
from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.keys import (
    CHECKPOINT_PURPOSE,
    DSSE_PURPOSE,
    NO_PREVIOUS,
    KeyRecord,
    TrustFile,
    Validity,
    registry_payload,
    resolve_keys,
)
from ledger_core.log.record import format_time
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.anchors import newest_anchors, refuse_older
from ledger_core.signing.backends.software import load_or_create, refuse_in_production
from ledger_core.signing.folder import KEYS_FILE, ROOT_FILE, STATE_FILE
from ledger_core.signing.memory import bind_state, open_state
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.service import Policy, SigningService
from ledger_core.signing.state import WitnessState


def open_service(
    folder: Path,
    *,
    trust_path: Path,
    origin_prefix: str,
    settings: SignerSettings,
    clock: Callable[[], datetime],
    archive: Path | None = None,
    wrap: Callable[[SigningBackend], SigningBackend] = lambda key: key,
) -> SigningService:
    """Return the service over `folder`, making at the first start what it needs; `wrap` is put around the key.

    `archive` holds anchored checkpoints, against which the state is compared. Raises `ConfigurationError` in
    production, for a key without the state that it used last, and for a trust file that pins other roots.
    """
    backend = choose_backend(settings)
    # The root that is made here is a key in a file too.
    refuse_in_production(settings.env)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    state = open_state(folder)
    try:
        key = wrap(backend.open_key(settings, folder))
        return _serve(folder, state, key, trust_path, origin_prefix, clock, archive)
    except CounterfoilError:
        state.close()
        raise


def _serve(
    folder: Path,
    state: WitnessState,
    key: SigningBackend,
    trust_path: Path,
    origin_prefix: str,
    clock: Callable[[], datetime],
    archive: Path | None,
) -> SigningService:
    bind_state(state, folder, key.public_key.key_id)
    root = load_or_create(folder / ROOT_FILE)
    policy = Policy(origin_prefix=origin_prefix)
    origin = f"{origin_prefix.rstrip('/')}/*"
    registry = _load_or_create_registry(folder / KEYS_FILE, key, root, origin, clock)
    trust = TrustFile(origin=origin, threshold=1, roots=(root.public_key,))
    ring = resolve_keys(trust, registry)
    _pin(trust_path, trust)
    # The registry is public; beside the trust file it serves proofs that carry none.
    write_once(trust_path.with_name(KEYS_FILE), (folder / KEYS_FILE).read_bytes(), mode=0o644)
    anchors = {} if archive is None else newest_anchors(archive, ring, policy.allows)
    refuse_older(state.last, anchors, folder / STATE_FILE)
    return SigningService(
        backend=key, state=state, ring=ring, registry=registry, policy=policy, confirmed=bool(anchors)
    )


def _load_or_create_registry(
    path: Path, key: SigningBackend, root: SigningBackend, origin: str, clock: Callable[[], datetime]
) -> list[Envelope]:
    if not path.exists():
        write_once(path, first_registry(key, root, origin, clock()).to_bytes() + b"\n", mode=0o600)
    return [parse_envelope(line) for line in path.read_bytes().splitlines() if line]


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
        return
    pinned = TrustFile.load(path)
    if {key.key_id for key in trust.roots}.isdisjoint(key.key_id for key in pinned.roots):
        raise ConfigurationError(
            "the trust file pins another root than the one in the signer's folder.",
            file=str(path),
            remedy="Restore the signer's folder that belongs to this home; do not replace the trust file.",
        )
