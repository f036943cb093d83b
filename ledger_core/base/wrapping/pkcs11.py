"""The back-end whose key-encryption key is an AES-256 key on a PKCS#11 token, which never leaves it.

AES-GCM on the token (CKM_AES_GCM), because the mechanisms that wrap keys bind no context; the nonce is drawn here, 96
bits. A token has no versions: the next key is another label or id, and what wrapped is found again by its id. Whether
it is the same key is told by what it makes of a fixed message under a nonce that serves for nothing else. How a token
is reached is `base.keepers.token`'s. Invariant: a key that ever could leave its token is refused.
Source: PKCS#11 3.1, 6.13.4 (AES-GCM).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from ledger_core.base.keepers.token import (
    TokenPlace,
    TokenSession,
    attribute_of,
    is_program,
    only_one,
    refuse_loose,
)
from ledger_core.base.wrapping.custody import WRAPPING, made_there, not_opened
from ledger_core.base.wrapping.port import Context, KeyName, Wrapped, bound
from ledger_core.errors import ConfigurationError

NAME = "pkcs11"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
CHECK_NONCE, CHECK_MESSAGE = bytes(NONCE_BYTES), b"counterfoil key-encryption key 1"
"""By which a key is known: nothing else is ever encrypted under that nonce, which no draw gives."""
_TORN = (
    pkcs11.GeneralError, pkcs11.FunctionFailed, pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange,
    pkcs11.DataInvalid, pkcs11.DataLenRange, pkcs11.SignatureInvalid,
)  # fmt: skip
"""What tokens answer to a tag that does not fit; SoftHSM says the same of much else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    name: KeyName
    handle: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """What was found in one session: the key that wraps, and those that were asked for since."""

    session: pkcs11.Session
    current: _Key
    older: dict[str, _Key] = field(default_factory=dict)


class TokenWrapper:
    """A key on a token, and older ones there. Safe for threads, in the process that opened it."""

    name = NAME

    def __init__(self, place: TokenPlace, *, hardware_only: bool) -> None:
        self._place, self._hardware_only = place, hardware_only
        self._token = TokenSession(place, WRAPPING, self._find)
        self._current = self._token.at_start.current.name

    @property
    def current(self) -> KeyName:
        """The key of the settings, as the token had it at the start."""
        return self._current

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` encrypted by the token. Raises `DependencyError` that names its reason."""
        nonce = os.urandom(NONCE_BYTES)

        def step(keys: _Keys) -> Wrapped:
            self._hold(keys.current, self._current)
            data = keys.current.handle.encrypt(key, **_gcm(nonce, bound(context)))
            return Wrapped(by=self._current, data=nonce + data)

        return self._token.use(step)

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key that the token decrypts. Raises `KeyNotOpened`, `DependencyError`."""
        nonce, data = wrapped.data[:NONCE_BYTES], wrapped.data[NONCE_BYTES:]
        if len(data) < TAG_BYTES:
            raise not_opened(str(wrapped.by), "its form is not that of this back-end")

        def step(keys: _Keys) -> bytes:
            found = self._of(keys, wrapped.by)
            try:
                key: bytes = found.handle.decrypt(data, **_gcm(nonce, bound(context)))
            except _TORN as error:
                # The session, the key or what it wrapped: a session that is sound still knows its key, and which it is.
                self._hold(_Key(name=_named(found.handle), handle=found.handle), wrapped.by)
                raise not_opened(f"{self._place.keeper}, {wrapped.by.key}", type(error).__name__) from error
            return key

        return self._token.use(step)

    def rotate(self) -> KeyName:
        """Refuse: it is done on the token."""
        raise made_there(self._place.keeper)

    def close(self) -> None:
        """Log out and give the library back."""
        self._token.close()

    def _find(self, session: pkcs11.Session, token: pkcs11.Token) -> _Keys:
        if Mechanism.AES_GCM not in token.slot.get_mechanisms():
            raise ConfigurationError(
                f"{self._place.keeper} has no AES-GCM (CKM_AES_GCM).", remedy="Use a token that has, or a KMS."
            )
        if self._hardware_only and is_program(token, Mechanism.AES_GCM):
            raise ConfigurationError(
                f"{self._place.keeper} is a program, which production and staging refuse.",
                remedy="Use a token that is a device, or a KMS or Vault back-end.",
            )
        return _Keys(session=session, current=self._checked(session, self._place.named))

    def _of(self, keys: _Keys, name: KeyName) -> _Key:
        if name == keys.current.name:
            return keys.current
        if name.key not in keys.older:
            keys.older[name.key] = self._checked(keys.session, _attributes_of(name))
        return keys.older[name.key]

    def _checked(self, session: pkcs11.Session, named: dict[Attribute, Any]) -> _Key:
        """Return the one key with the attributes `named`, if it is fit to wrap."""
        keeper = self._place.keeper
        key = only_one(session, {Attribute.CLASS: ObjectClass.SECRET_KEY, **named}, keeper)
        refuse_loose(key, keeper)
        size = attribute_of(key, Attribute.VALUE_LEN)
        may = all(hasattr(key, use) for use in ("encrypt", "decrypt"))
        if key.key_type is not KeyType.AES or size != KEY_BYTES or not may:
            raise ConfigurationError(
                f"{keeper}: the key is {key.key_type.name} of {size} bytes, or may not encrypt and decrypt.",
                remedy="Make an AES key of 32 bytes on the token that may encrypt and decrypt.",
            )
        return _Key(name=_named(key), handle=key)

    def _hold(self, found: _Key, wanted: KeyName) -> None:
        if found.name.version != wanted.version:
            raise WRAPPING.unavailable(
                "wrong_key", self._place.keeper, f"{wanted.key} is {found.name.version}, not {wanted.version}"
            )


def _named(key: Any) -> KeyName:
    """Return what `key` is called: by its id, by its label where it has none; its version tells it from another."""
    check = key.encrypt(CHECK_MESSAGE, **_gcm(CHECK_NONCE, b""))[-TAG_BYTES:]
    name = f"id:{key.id.hex()}" if key.id else f"label:{key.label}"
    return KeyName(backend=NAME, key=name, version=check.hex()[:16])


def _attributes_of(name: KeyName) -> dict[Attribute, Any]:
    kind, _, value = name.key.partition(":")
    try:
        return {Attribute.ID: bytes.fromhex(value)} if kind == "id" else {Attribute.LABEL: value}
    except ValueError as error:
        raise not_opened(str(name), "its form is not that of this back-end") from error


def _gcm(nonce: bytes, data: bytes) -> dict[str, Any]:
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, data, TAG_BYTES * 8)}
