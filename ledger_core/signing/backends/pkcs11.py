"""The back-end whose key lies on a PKCS#11 token: an HSM, a smart card, or SoftHSM, which is none and is called so.

How a token is reached, kept and lost is `base.keepers.token`'s. Invariants: the library is loaded in the process that
signs, never before a fork; a key that ever could leave its token is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, Mechanism, ObjectClass

from ledger_core.base.keepers.token import (
    TokenPlace,
    TokenSession,
    attribute_of,
    is_program,
    only_one,
    refuse_loose,
)
from ledger_core.errors import ConfigurationError
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import SIGNING, checked, probed, read_public, refuse_software
from ledger_core.signing.token_format import der_of, spki_of

NAME = "pkcs11"
HARDWARE, SOFTWARE_TOKEN = "hsm", "software-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    private: Any
    public_key: PublicKey
    assurance: str


class TokenKey:
    """A key on a token, and the one session that reaches it. Safe for threads, in the process that opened it."""

    name = NAME

    def __init__(self, place: TokenPlace) -> None:
        self._place = place
        self._token = TokenSession(place, SIGNING, self._find)
        self._public_key, self._assurance = self._token.at_start.public_key, self._token.at_start.assurance

    @property
    def assurance(self) -> str:
        """`hsm`, or `software-token` for one that is a program: every registry, proof and report repeats it."""
        return self._assurance

    @property
    def public_key(self) -> PublicKey:
        """The public half, as the token had it at the start."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (ECDSA: DER). Raises `DependencyError` that names its reason,
        `IntegrityError` where the token signed with another key."""
        signature = self._token.use(lambda pair: self._ask(pair.private, message))
        return checked(self._public_key, message, signature, self._place.keeper)

    def close(self) -> None:
        """Log out and give the library back."""
        self._token.close()

    def _ask(self, private: Any, message: bytes) -> bytes:
        if self._public_key.algorithm == ECDSA_P256:
            # The oldest form, of a hash, is the one that every token has.
            return der_of(private.sign(sha256(message).digest(), mechanism=Mechanism.ECDSA))
        signature: bytes = private.sign(message, mechanism=Mechanism.EDDSA)
        return signature

    def _find(self, session: pkcs11.Session, token: pkcs11.Token) -> _Pair:
        keeper, named = self._place.keeper, self._place.named
        private = only_one(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **named}, keeper)
        # A pair has one id; its halves may be labelled apart.
        pair = {Attribute.ID: private.id} if private.id else named
        public = only_one(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, **pair}, keeper)
        refuse_loose(private, keeper)
        params, point = (attribute_of(public, name) or b"" for name in (Attribute.EC_PARAMS, Attribute.EC_POINT))
        public_key = read_public(spki_of(params, point), keeper)
        mechanism = Mechanism.ECDSA if public_key.algorithm == ECDSA_P256 else Mechanism.EDDSA
        assurance = SOFTWARE_TOKEN if is_program(token, mechanism) else HARDWARE
        return _Pair(private=private, public_key=public_key, assurance=assurance)


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where a setting is missing or none."""
    settings.need("pkcs11_module", "pkcs11_token", "pkcs11_pin_file")
    if not (settings.pkcs11_key_label or settings.pkcs11_key_id):
        settings.need("pkcs11_key_label", "pkcs11_key_id")
    place_of(settings).check()


def open_key(settings: SignerSettings, folder: Path) -> TokenKey:
    """Return the key on the token; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    key = TokenKey(place_of(settings))
    if key.assurance != HARDWARE:
        try:
            refuse_software(settings.env, "a PKCS#11 token that is a program")
        except ConfigurationError:
            key.close()
            raise
    return probed(key)


def place_of(settings: SignerSettings) -> TokenPlace:
    """Return the token that `settings` name."""
    return TokenPlace(
        module=settings.pkcs11_module,
        token=settings.pkcs11_token,
        pin_file=settings.pkcs11_pin_file,
        key_label=settings.pkcs11_key_label,
        key_id=settings.pkcs11_key_id,
    )
