"""The keys of a registry that a pinned trust file vouches for: what whoever asks the signing proxy believes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger_core.errors import IntegrityError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys


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
