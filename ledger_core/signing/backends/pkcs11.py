"""The back-end whose key lies on a PKCS#11 token: an HSM, a smart card, or SoftHSM, which is none and is called so.

One session for as long as it lives, under a lock, because opening, logging in and finding the key cost twenty times a
signature. Whatever breaks it off (C_Finalize, a closed session, a removed token) is one named error, and the next
request opens it anew. A PIN that was refused is never tried twice: three wrong ones lock a token. Invariants: the
library is loaded in the process that signs, never before a fork; a key that ever could leave its token is refused.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass, SlotFlag

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import (
    asked_again,
    checked,
    probed,
    read_public,
    read_secret,
    refuse_software,
    unavailable,
)
from ledger_core.signing.token_format import der_of, is_software, spki_of

NAME = "pkcs11"
HARDWARE, SOFTWARE_TOKEN = "hsm", "software-token"

_KEPT_INSIDE = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
}
"""What a private key's attributes say when it was made on its token and never could leave it."""

_REASONS: tuple[tuple[type[pkcs11.PKCS11Error], str], ...] = (
    (pkcs11.NoSuchKey, "not_found"),
    (pkcs11.NoSuchToken, "token_absent"),
    (pkcs11.TokenNotPresent, "token_absent"),
    (pkcs11.TokenNotRecognised, "token_absent"),
    (pkcs11.DeviceRemoved, "token_absent"),
    (pkcs11.SlotIDInvalid, "token_absent"),
    (pkcs11.PinLocked, "pin_locked"),
    (pkcs11.PinIncorrect, "pin_wrong"),
    (pkcs11.PinInvalid, "pin_wrong"),
    (pkcs11.PinLenRange, "pin_wrong"),
    (pkcs11.PinExpired, "pin_wrong"),
    (pkcs11.UserPinNotInitialized, "pin_wrong"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    session: pkcs11.Session
    private: Any
    public_key: PublicKey
    assurance: str


class TokenKey:
    """A key on a token, and the one session that reaches it. Safe for threads, in the process that opened it."""

    name = NAME

    def __init__(self, settings: SignerSettings) -> None:
        self._settings = settings
        self._keeper = f"the token {settings.pkcs11_token!r}"
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._refused_pin: bytes | None = None
        self._library: Any = None
        self._opened: _Opened | None = None
        self._opened = self._open()
        self._public_key, self._assurance = self._opened.public_key, self._opened.assurance

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
        if os.getpid() != self._pid:
            # The library's state is the parent's: PKCS#11 wants C_Initialize in each process, and crashes without.
            raise unavailable("forked", self._keeper, f"opened by process {self._pid}")
        with self._lock:
            opened = self._opened = self._opened or asked_again(self._open, self._keeper)
            try:
                signature = self._ask(opened.private, message)
            except pkcs11.PKCS11Error as error:
                self._lose()
                raise self._trouble(error) from error
        return checked(self._public_key, message, signature, self._keeper)

    def close(self) -> None:
        """Log out and give the library back."""
        with self._lock:
            self._lose()

    def _ask(self, private: Any, message: bytes) -> bytes:
        if self._public_key.algorithm == ECDSA_P256:
            # The oldest form, of a hash, is the one that every token has.
            return der_of(private.sign(sha256(message).digest(), mechanism=Mechanism.ECDSA))
        signature: bytes = private.sign(message, mechanism=Mechanism.EDDSA)
        return signature

    def _open(self) -> _Opened:
        module = Path(self._settings.pkcs11_module)
        if not module.is_file():
            raise ConfigurationError(
                "there is no library of the token.", file=str(module), remedy="Name it by its whole path."
            )
        pin = read_secret(Path(self._settings.pkcs11_pin_file), "PIN")
        if sha256(pin.encode()).digest() == self._refused_pin:
            raise unavailable("pin_wrong", self._keeper, "the file holds the PIN that was refused")
        try:
            self._library = load_library(str(module))
            token = self._library.get_token(token_label=self._settings.pkcs11_token)
            session = token.open(user_pin=pin)
            return self._find(session, token)
        except pkcs11.PKCS11Error as error:
            if self._library is None and type(error) is pkcs11.PKCS11Error:
                raise ConfigurationError(
                    f"the token's library cannot be loaded: {error}.", file=str(module), remedy="Install it whole."
                ) from error
            self._lose()
            trouble = self._trouble(error)
            if trouble.context["reason"] in ("pin_wrong", "pin_locked"):
                self._refused_pin = sha256(pin.encode()).digest()
            raise trouble from error
        except ConfigurationError:
            self._lose()
            raise

    def _find(self, session: pkcs11.Session, token: pkcs11.Token) -> _Opened:
        named: dict[Attribute, Any] = {}
        if self._settings.pkcs11_key_label:
            named[Attribute.LABEL] = self._settings.pkcs11_key_label
        if self._settings.pkcs11_key_id:
            named[Attribute.ID] = bytes.fromhex(self._settings.pkcs11_key_id)
        private = self._one(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **named})
        # A pair has one id; its halves may be labelled apart.
        pair = {Attribute.ID: private.id} if private.id else named
        public = self._one(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, **pair})
        self._refuse_loose(private)
        spki = spki_of(_attribute(public, Attribute.EC_PARAMS) or b"", _attribute(public, Attribute.EC_POINT) or b"")
        public_key = read_public(spki, self._keeper)
        return _Opened(session=session, private=private, public_key=public_key, assurance=_assurance(token, public_key))

    def _one(self, session: pkcs11.Session, named: dict[Attribute, Any]) -> Any:
        # All of them: a search that is left half read holds the session, and ends when nobody looks.
        found = list(session.get_objects(named))
        if len(found) > 1:
            raise ConfigurationError(
                f"{self._keeper} has several keys of that name.",
                remedy="Name the key's id too; give no two keys one label and id.",
            )
        if not found:
            raise pkcs11.NoSuchKey(f"no {named[Attribute.CLASS].name} of that label or id")
        return found[0]

    def _refuse_loose(self, private: pkcs11.PrivateKey) -> None:
        """Refuse a key that may leave its token, could once, or was brought to it."""
        wrong = [name.name for name, wanted in _KEPT_INSIDE.items() if _attribute(private, name) is not wanted]
        if wrong:
            raise ConfigurationError(
                f"{self._keeper}: the key could leave it, or came from outside ({', '.join(wrong)}).",
                remedy="Make a key on the token, sensitive and not extractable, and rotate to it.",
            )

    def _lose(self) -> None:
        """Forget the session and finalize the library, of which nothing is believed any more."""
        opened, self._opened = self._opened, None
        steps = [opened.session.close] if opened else []
        for give_back in [*steps, *([self._library.finalize] if self._library else [])]:
            try:
                give_back()
            except pkcs11.PKCS11Error:
                continue  # it is lost already

    def _trouble(self, error: pkcs11.PKCS11Error) -> DependencyError:
        reason = next((name for kind, name in _REASONS if isinstance(error, kind)), "session_lost")
        return unavailable(reason, self._keeper, f"{type(error).__name__} {error}".strip())


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where a setting is missing or none."""
    settings.need("pkcs11_module", "pkcs11_token", "pkcs11_pin_file")
    if not (settings.pkcs11_key_label or settings.pkcs11_key_id):
        settings.need("pkcs11_key_label", "pkcs11_key_id")
    if not Path(settings.pkcs11_module).is_absolute():
        raise ConfigurationError("the token's library is not named by its whole path.", remedy="Begin it with a /.")
    try:
        bytes.fromhex(settings.pkcs11_key_id)
    except ValueError as error:
        raise ConfigurationError("the id of the token's key is not hex.", remedy="Write it as 0a1b.") from error


def open_key(settings: SignerSettings, folder: Path) -> TokenKey:
    """Return the key on the token; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    key = TokenKey(settings)
    if key.assurance != HARDWARE:
        try:
            refuse_software(settings.env, "a PKCS#11 token that is a program")
        except ConfigurationError:
            key.close()
            raise
    return probed(key)


def load_library(module: str) -> Any:
    """Return the token's library, loaded and initialised, by a thread that ends with it.

    SoftHSM looks for engines of OpenSSL that are not there, and leaves the errors in the queue of its thread: Python's
    `ssl` would take them for its own, and break a sound connection.
    """
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(pkcs11.lib, module).result()


def _assurance(token: pkcs11.Token, public_key: PublicKey) -> str:
    mechanism = Mechanism.ECDSA if public_key.algorithm == ECDSA_P256 else Mechanism.EDDSA
    flags = token.slot.get_mechanism_info(mechanism).flags
    program = is_software(
        (token.manufacturer_id, token.model, token.slot.manufacturer_id, token.slot.slot_description),
        hardware_claimed=bool(token.slot.flags & SlotFlag.HW_SLOT or flags & MechanismFlag.HW),
    )
    return SOFTWARE_TOKEN if program else HARDWARE


def _attribute(key: pkcs11.Object, name: Attribute) -> Any:
    try:
        return key[name]
    except pkcs11.AttributeTypeInvalid:
        return None
