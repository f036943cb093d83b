"""Commitments: what a record says of a private value without saying it, and how the value is sealed beside the log.

A commitment is SHA-256 over a random salt and the value's canonical form. The record holds it for ever; the side table
holds the salt, the key and the sealed value, until they are erased. Invariant: without its salt a commitment tells
nothing of its value, however few values there could be, and without its key the sealed bytes are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes

SALT_BYTES = 16
KEY_BYTES = 32
MAX_COMMITMENTS = 64
COMMITMENT_CHARACTERS = 64

_NONCE = bytes(12)
"""A key seals one value, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateValue:
    """One private value on its way into the side table, and the commitment to it on its way into the record."""

    name: str
    value: str = field(repr=False)
    salt: bytes = field(repr=False)
    key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    commitment: str


def private_values(values: Mapping[str, str], random_bytes: Callable[[int], bytes]) -> tuple[PrivateValue, ...]:
    """Return `values` in the order of their names, each with a salt and a key of its own."""
    made = []
    for name, value in sorted(values.items()):
        salt, key = random_bytes(SALT_BYTES), random_bytes(KEY_BYTES)
        sealed = seal(value, key=key, name=name)
        made.append(
            PrivateValue(
                name=name, value=value, salt=salt, key=key, sealed=sealed, commitment=commitment_of(salt, value)
            )
        )
    return tuple(made)


def commitment_of(salt: bytes, value: str) -> str:
    """Return the commitment to `value` in hex: SHA-256 over the salt's bytes and the canonical form (cf-jcs/1)."""
    return sha256(salt + canonical_bytes(value)).hexdigest()


def opens(commitment: str, salt: bytes, value: str) -> bool:
    """Say whether `salt` and `value` are what `commitment` was made of."""
    try:
        return len(salt) == SALT_BYTES and commitment_of(salt, value) == commitment
    except InvalidInput:
        return False


def seal(value: str, *, key: bytes, name: str) -> bytes:
    """Return `value` encrypted (AES-256-GCM) under `key`, which seals nothing else; bound to its `name`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(_NONCE, value.encode(), name.encode())


def unseal(sealed: bytes, *, key: bytes, name: str) -> str | None:
    """Return what `seal` took, None for anything that it did not make."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(_NONCE, sealed, name.encode()).decode()
    except (InvalidTag, ValueError):
        return None


def check_commitments(given: Any, pointer: str = "/body/commitments") -> None:
    """Raise `InvalidInput` for a member `commitments` that is none: names are the canonical form's to judge."""
    if type(given) is not dict or not 1 <= len(given) <= MAX_COMMITMENTS:
        raise InvalidInput(f"commitments are an object of 1 to {MAX_COMMITMENTS} members.", pointer=pointer)
    for name, value in given.items():
        if not is_sha256(value):
            raise InvalidInput("64 lower-case hexadecimal digits are expected.", pointer=f"{pointer}/{name}")


def is_sha256(value: Any) -> bool:
    """Say whether `value` is a SHA-256 in lower-case hexadecimal digits."""
    return type(value) is str and len(value) == COMMITMENT_CHARACTERS and set(value) <= set("0123456789abcdef")
