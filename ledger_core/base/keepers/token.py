"""A PKCS#11 token reached: an HSM, a smart card, or SoftHSM, which is none and is told apart.

One session for as long as it lives, under a lock, because opening, logging in and finding a key cost twenty times its
use. Whatever breaks it off (C_Finalize, a closed session, a removed token) is one named error, and the next request
opens it anew. A PIN that was refused is never tried twice: three wrong ones lock a token. Invariants: the library is
loaded in the process that uses it, never before a fork; a key that ever could leave its token is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

import pkcs11
from pkcs11 import Attribute, Mechanism, MechanismFlag, SlotFlag

from ledger_core.base.keepers.custody import Custody, read_secret
from ledger_core.errors import ConfigurationError, DependencyError

SOFTWARE_MAKERS = ("softhsm", "nss", "mozilla", "kryoptic", "wolfpkcs11", "gnome keyring")
"""Makers of tokens that are programs; what calls itself one of theirs is one, whatever flags it sets."""

_KEPT_INSIDE = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
}
"""What a key's attributes say when it was made on its token and never could leave it."""

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

Found = TypeVar("Found")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where a token is and how it is logged in to; `key_label`, `key_id` (hex) or both name the key."""

    module: str
    token: str
    pin_file: str
    key_label: str = ""
    key_id: str = ""

    @property
    def keeper(self) -> str:
        """What errors call it."""
        return f"the token {self.token!r}"

    @property
    def named(self) -> dict[Attribute, Any]:
        """The attributes by which the key is found."""
        named: dict[Attribute, Any] = {}
        if self.key_label:
            named[Attribute.LABEL] = self.key_label
        if self.key_id:
            named[Attribute.ID] = bytes.fromhex(self.key_id)
        return named

    def check(self) -> None:
        """Raise `ConfigurationError` where it cannot be one; no file is looked at."""
        if not Path(self.module).is_absolute():
            raise ConfigurationError("the token's library is not named by its whole path.", remedy="Begin it with a /.")
        try:
            bytes.fromhex(self.key_id)
        except ValueError as error:
            raise ConfigurationError("the id of the token's key is not hex.", remedy="Write it as 0a1b.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened(Generic[Found]):
    session: pkcs11.Session
    found: Found


class TokenSession(Generic[Found]):
    """The one session that reaches a token. Safe for threads, in the process that opened it.

    `find` looks, in each new session, for what is used of the token.
    """

    def __init__(
        self, place: TokenPlace, custody: Custody, find: Callable[[pkcs11.Session, pkcs11.Token], Found]
    ) -> None:
        self._place, self._custody, self._find = place, custody, find
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._refused_pin: bytes | None = None
        self._library: Any = None
        self._opened: _Opened[Found] | None = None
        self._opened = self._open()
        self.at_start = self._opened.found

    def use(self, step: Callable[[Found], Answer]) -> Answer:
        """Return what `step` makes of what was found. Raises `DependencyError` that names its reason."""
        if os.getpid() != self._pid:
            # The library's state is the parent's: PKCS#11 wants C_Initialize in each process, and crashes without.
            raise self._custody.unavailable("forked", self._place.keeper, f"opened by process {self._pid}")
        with self._lock:
            opened = self._opened = self._opened or self._custody.asked_again(self._open, self._place.keeper)
            try:
                return step(opened.found)
            except pkcs11.PKCS11Error as error:
                self._lose()
                raise self._trouble(error) from error

    def close(self) -> None:
        """Log out and give the library back."""
        with self._lock:
            self._lose()

    def _open(self) -> _Opened[Found]:
        module = Path(self._place.module)
        if not module.is_file():
            raise ConfigurationError(
                "there is no library of the token.", file=str(module), remedy="Name it by its whole path."
            )
        pin = read_secret(Path(self._place.pin_file), "PIN")
        if sha256(pin.encode()).digest() == self._refused_pin:
            raise self._custody.unavailable("pin_wrong", self._place.keeper, "the file holds the PIN that was refused")
        try:
            self._library = load_library(str(module))
            token = self._library.get_token(token_label=self._place.token)
            session = token.open(user_pin=pin)
            return _Opened(session=session, found=self._find(session, token))
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
        return self._custody.unavailable(reason, self._place.keeper, f"{type(error).__name__} {error}".strip())


def load_library(module: str) -> Any:
    """Return the token's library, loaded and initialised, by a thread that ends with it.

    SoftHSM looks for engines of OpenSSL that are not there, and leaves the errors in the queue of its thread: Python's
    `ssl` would take them for its own, and break a sound connection.
    """
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(pkcs11.lib, module).result()


def only_one(session: pkcs11.Session, named: dict[Attribute, Any], keeper: str) -> Any:
    """Return the one object with the attributes `named`. Raises `NoSuchKey`; `ConfigurationError` for several."""
    # All of them: a search that is left half read holds the session, and ends when nobody looks.
    found = list(session.get_objects(named))
    if len(found) > 1:
        raise ConfigurationError(
            f"{keeper} has several keys of that name.",
            remedy="Name the key's id too; give no two keys one label and id.",
        )
    if not found:
        raise pkcs11.NoSuchKey(f"no {named[Attribute.CLASS].name} of that label or id")
    return found[0]


def refuse_loose(key: Any, keeper: str) -> None:
    """Refuse a key that may leave its token, could once, or was brought to it. Raises `ConfigurationError`."""
    wrong = [name.name for name, wanted in _KEPT_INSIDE.items() if attribute_of(key, name) is not wanted]
    if wrong:
        raise ConfigurationError(
            f"{keeper}: the key could leave it, or came from outside ({', '.join(wrong)}).",
            remedy="Make a key on the token, sensitive and not extractable, and rotate to it.",
        )


def attribute_of(key: Any, name: Attribute) -> Any:
    """Return an attribute of `key`, None where the token knows none of that name."""
    try:
        return key[name]
    except pkcs11.AttributeTypeInvalid:
        return None


def is_program(token: pkcs11.Token, mechanism: Mechanism) -> bool:
    """Say whether `token`, which would use `mechanism`, is a program and no device."""
    flags = token.slot.get_mechanism_info(mechanism).flags
    return is_software(
        (token.manufacturer_id, token.model, token.slot.manufacturer_id, token.slot.slot_description),
        hardware_claimed=bool(token.slot.flags & SlotFlag.HW_SLOT or flags & MechanismFlag.HW),
    )


def is_software(makers: Iterable[str], *, hardware_claimed: bool) -> bool:
    """Say whether a token is a program: one of `makers` (of token, slot, library) is known for it, or nobody claims
    that a device does the work (CKF_HW_SLOT of the slot, CKF_HW of the mechanism)."""
    return not hardware_claimed or any(name in maker.lower() for maker in makers for name in SOFTWARE_MAKERS)
