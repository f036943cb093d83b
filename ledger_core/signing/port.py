"""The two ports of signing: what the ledger asks for, and what a holder of keys must do.

`CheckpointSigner` is all that the sequencer knows. `SigningBackend` is all that the proxy knows of a key: it signs
bytes that the proxy itself has put together, and describes its key. No port takes a digest: whoever may have a digest
signed may have anything signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger_core.log.merkle import Frontier
from ledger_core.log.note import PublicKey

MAX_LEAVES = 10_000
"""By how many records one request may let a log grow: a batch has 1,000, the unsigned tail 10,000 (320 kB)."""


class CheckpointSigner(Protocol):
    """Sign checkpoints of logs that only ever grow."""

    def sign_checkpoint(self, *, origin: str, old: Frontier, leaves: Sequence[bytes], root: bytes) -> str:
        """Return a signed note for the tree that `leaves`, at most `MAX_LEAVES`, make of `old`; its root is `root`.

        The note may be one of a larger size that was signed already.
        """
        ...

    def latest(self, origin: str) -> str | None:
        """Return the newest signed note of `origin`, or None when nothing of it was ever signed."""
        ...

    def close(self) -> None:
        """Give back what the calling thread holds."""
        ...


class SigningBackend(Protocol):
    """Hold one private key and sign with it."""

    @property
    def name(self) -> str:
        """The kind of back-end: `software`, `pkcs11`, `awskms`, `vault`."""
        ...

    @property
    def assurance(self) -> str:
        """What keeps the key: `software`, `kms` or `hsm`. Every proof and report repeats it."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The public half, read once at start."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return a signature over `message` in the form that `PublicKey.verify` takes (ECDSA: DER)."""
        ...
