"""The keys that this home believes: what the pinned trust file vouches for, of what the signing proxy publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.signing.pinned import resolve_pinned as resolve_pinned

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def pinned_ring(runtime: Runtime, origin: str) -> KeyRing:
    """Return the keys that count for the log `origin`. Raises as `resolve_pinned`, and `DependencyError`."""
    return resolve_pinned(runtime.trust_path, origin, runtime.signer.keys())


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
