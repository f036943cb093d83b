"""The first registry of a proxy whose roots are kept elsewhere: drafted by the proxy's host, signed by them, begun.

What development makes at its first start with a root of its own (`signing.bootstrap`), production makes so: nobody who
can reach the signing key can vouch for it. Written in an order in which a killed `begin` is given again: the memory
first, the trust file last. Invariant: nothing is begun that the roots of the document have not signed, nor for another
key than the one that the settings reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ledger_core.base.files import private_folder, write_once
from ledger_core.ceremony.offline import lines_of, merge, read_draft, read_public, refuse_private
from ledger_core.errors import ConfigurationError, IntegrityError, InvalidInput, Refused
from ledger_core.log.dsse import Envelope
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.note import PublicKey
from ledger_core.log.record import format_time
from ledger_core.log.registry import (
    ACTIVE,
    CHECKPOINT_PURPOSE,
    DSSE_PURPOSE,
    NO_PREVIOUS,
    KeyRecord,
    Registry,
    Validity,
    parse_registry,
    registry_payload,
)
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.bootstrap import below
from ledger_core.signing.folder import KEYS_FILE, hold_folder
from ledger_core.signing.memory import bind_state, open_state
from ledger_core.signing.open import choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.takeover import in_hand, read_registry, write_registry


def first_draft(folder: Path, roots: Sequence[Path], *, threshold: int, origin_prefix: str, out: Path) -> bytes:
    """Write to `out`, and return, the payload of version 1: the key here signs every log below, `roots` vouch for it.

    Raises `ConfigurationError` where a registry stands already, `InvalidInput` for roots that cannot agree.
    """
    refuse_private(out)
    if (folder / KEYS_FILE).exists():
        raise _begun_before(folder)
    publics = [read_public(path) for path in roots]
    if len({item.key_id for item in publics}) != len(publics) or not 1 <= threshold <= len(publics):
        raise InvalidInput(
            f"{threshold} of {len(publics)} roots cannot agree.",
            remedy="Give each root once; a threshold is 1 to the number of roots.",
        )
    with _opened(folder) as key:
        record = _record(key, below(origin_prefix))
    _refuse_signing_root(record.key, publics)
    payload = registry_payload(
        version=1,
        previous_sha256=NO_PREVIOUS,
        roots=publics,
        threshold=threshold,
        keys=[record],
        created_at=format_time(datetime.now(UTC)),
    )
    write_once(out, payload, mode=0o644)
    return payload


def begin(folder: Path, trust_path: Path, files: Sequence[Path], *, draft: Path, origin_prefix: str) -> list[str]:
    """Take version 1 with the signatures in `files`: registry, empty memory, trust file. Return what to say of it.

    `draft` is what `first_draft` wrote here: a first document names its own roots, so that anybody could have signed
    another one. Raises `IntegrityError` where it is another one or a threshold of its roots has not signed, `Refused`
    for what is no first registry of the key here, `ConfigurationError` where another registry stands, or a trust file
    that pins other roots.
    """
    envelope = merge(files)
    if envelope.payload != read_draft(draft):
        raise IntegrityError(
            "what was signed is another document than the draft.",
            file=str(draft),
            remedy="Nothing was begun. Give the file that `first` wrote on this host, and the signatures of that; ask "
            "who changed it on its way.",
        )
    document, origin = parse_registry(envelope.payload), below(origin_prefix)
    pinned = TrustFile(origin=origin, threshold=document.threshold, roots=document.roots)
    resolve_keys(pinned, [envelope])
    _require_other_trust(trust_path, pinned)
    private_folder(folder)
    with hold_folder(folder):
        _require_same(folder, envelope)
        with _opened(folder) as key:
            record = _record(key, origin)
        _require_first(document, record)
        _refuse_signing_root(record.key, document.roots)
        if not (folder / KEYS_FILE).exists():
            state = open_state(folder)
            try:
                bind_state(state, folder, record.key.key_id)
            finally:
                state.close()
            write_registry(folder, [envelope])
        trust_path.parent.mkdir(parents=True, exist_ok=True)
        write_once(trust_path.with_name(KEYS_FILE), (folder / KEYS_FILE).read_bytes(), mode=0o644)
        write_once(trust_path, (json.dumps(pinned.as_json(), indent=2) + "\n").encode(), mode=0o644)
    return [
        *lines_of(document),
        f"begun in {folder}; {trust_path} pins the roots: it goes to the ledger's home and, by another way than the "
        "export, to auditors, who compare the ids of the roots with their holders.",
    ]


@contextmanager
def _opened(folder: Path) -> Iterator[SigningBackend]:
    """Return the key that the settings name, with a memory beside it from before its first use on."""
    settings = load_signer_settings()
    backend = choose_backend(settings)
    private_folder(folder)
    open_state(folder).close()
    with in_hand(backend.open_key(settings, folder)) as key:
        yield key


def _record(key: SigningBackend, origin: str) -> KeyRecord:
    return KeyRecord(
        key=key.public_key,
        backend=key.name,
        assurance=key.assurance,
        status=ACTIVE,
        purposes=(CHECKPOINT_PURPOSE, DSSE_PURPOSE),
        valid=(Validity(origin=origin, from_size=0, to_size=None),),
    )


def _require_first(document: Registry, wanted: KeyRecord) -> None:
    if (document.version, document.previous) != (1, NO_PREVIOUS):
        raise Refused(
            f"it is version {document.version} of a registry, not the first.", remedy="`install` takes later ones."
        )
    if [item.as_json() for item in document.keys] != [wanted.as_json()]:
        named = ", ".join(item.key.key_id[:16] for item in document.keys)
        raise Refused(
            f"the document lets {named or 'no key'} sign, the key here is {wanted.key.key_id[:16]} "
            f"({wanted.backend}, {wanted.assurance}) for {wanted.valid[0].origin}.",
            remedy="Draft it with `first`, with the settings and the origin that the proxy runs with.",
        )


def _refuse_signing_root(key: PublicKey, roots: Sequence[PublicKey]) -> None:
    if key.key_id in {root.key_id for root in roots}:
        raise Refused(
            f"{key.key_id[:16]} would sign and vouch for itself.", remedy="Keep roots where the signing key is not."
        )


def _require_same(folder: Path, envelope: Envelope) -> None:
    """Raise `ConfigurationError` where another registry stands than the one that is begun."""
    if (folder / KEYS_FILE).exists() and [item.payload for item in read_registry(folder)] != [envelope.payload]:
        raise _begun_before(folder)


def _require_other_trust(path: Path, pinned: TrustFile) -> None:
    if not path.exists():
        return
    found = TrustFile.load(path)
    same = ({root.key_id for root in found.roots}, found.threshold, found.origin)
    if same != ({root.key_id for root in pinned.roots}, pinned.threshold, pinned.origin):
        raise ConfigurationError(
            "the trust file pins other roots, or speaks for other logs.",
            file=str(path),
            remedy="Compare it with the roots' holders; nothing was begun.",
        )


def _begun_before(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        "a key registry stands here already.",
        file=str(folder / KEYS_FILE),
        remedy="A registry is begun once; its next versions come by `install`.",
    )
