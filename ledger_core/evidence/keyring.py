"""The keys that this home believes: what the pinned trust file vouches for, of what the signing proxy publishes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.errors import IntegrityError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def pinned_ring(runtime: Runtime, origin: str) -> KeyRing:
    """Return the keys that count for the log `origin`. Raises as `resolve_pinned`, and `DependencyError`."""
    return resolve_pinned(runtime.trust_path, origin, runtime.signer.keys())


def resolve_pinned(trust_path: Path, origin: str, registry: Sequence[dict[str, Any]]) -> KeyRing:
    """Return the keys of `registry` (DSSE envelopes in JSON form, oldest first) that the trust file vouches for.

    Raises `ConfigurationError` without a trust file, `IntegrityError` when its roots do not vouch for the registry.
    """
    trust = TrustFile.load(trust_path)
    if not trust.covers(origin):
        raise IntegrityError(
            f"the pinned roots speak for {trust.origin}, not for {origin}.",
            file=str(trust_path),
            remedy="Pin the trust file of this log.",
        )
    return resolve_keys(trust, [parse_envelope(envelope) for envelope in registry])


def is_doubtful(ring: KeyRing, note: str) -> bool:
    """Say whether compromised keys alone signed `note`: it counts if its tree is shown to lie in one that counts."""
    signed = parse_note(note)
    return bool(ring.judge_checkpoint(signed, parse_checkpoint(signed.text)).doubtful)


def read_checkpoint(ring: KeyRing, note: str, origin: str) -> tuple[Checkpoint, str]:
    """Return what `note` commits to, and why it does not count: empty when it does.

    Raises `InvalidInput` when `note` is no checkpoint at all.
    """
    signed = parse_note(note)
    checkpoint = parse_checkpoint(signed.text)
    if checkpoint.origin != origin:
        return checkpoint, f"it is of the log {checkpoint.origin}"
    judgement = ring.judge_checkpoint(signed, checkpoint)
    return checkpoint, judgement.detail if judgement.verdict else ""
