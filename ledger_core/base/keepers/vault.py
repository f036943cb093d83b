"""HashiCorp Vault or OpenBao reached: one session, logged in by AppRole over TLS, and one name for what it answers.

The token is renewed while requests come, and had anew once it is gone; one request at a time. Invariants: what is used
there is looked at after each log-in, before the token serves anything else; a token that stands and is refused is a
policy, and no log-in mends that; a refused secret id is not tried again at once, for five in a row lock a role.
Sources: the API pages of AppRole and transit, which both servers share, and the texts of their errors, which stand in
no page.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import hvac
import requests
from hvac import exceptions as refused

from ledger_core.base.keepers.custody import Custody, Patience, read_secret
from ledger_core.errors import ConfigurationError, DependencyError

TIMEOUT_SECONDS = (1.0, 3.0)
"""To connect, and to answer: a request takes 1 to 3 ms, and longer where an audit device is slow."""
RENEW_AFTER = 2 / 3
"""Of a token's time, after which it is renewed; half of it got back or less means that its end is near."""
LOG_IN_PAUSE_SECONDS = 30.0
"""How long a refused log-in is not tried again with the same secret: five in a row lock a role."""

_STATUSES: tuple[tuple[type[Exception], str], ...] = (
    (refused.RateLimitExceeded, "throttled"),
    (refused.VaultNotInitialized, "sealed"),
    (refused.Unauthorized, "credentials"),
    (refused.InvalidPath, "not_found"),
    (requests.exceptions.Timeout, "slow"),
    (requests.exceptions.RequestException, "unreachable"),
)
_NEVER_SERVED = ("slow", "unreachable", "sealed", "throttled")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPlace:
    """Where the server is, and as whom it is logged in to."""

    url: str
    namespace: str
    auth_mount: str
    role_id: str
    secret_id_file: str
    ca_file: str
    client_cert_file: str
    client_key_file: str

    def check(self) -> None:
        """Raise `ConfigurationError` where it cannot be one; no file is looked at."""
        if not self.url.startswith("https://"):
            raise ConfigurationError("Vault is not spoken to without TLS.", remedy="Begin its address with https://.")
        if bool(self.client_cert_file) != bool(self.client_key_file):
            raise ConfigurationError(
                "of the client certificate for Vault one half is set.", remedy="Name certificate and key, or neither."
            )

    def check_files(self) -> None:
        """Raise `ConfigurationError` where a file that TLS needs is not there."""
        for path in (self.ca_file, self.client_cert_file, self.client_key_file):
            if path and not Path(path).is_file():
                raise ConfigurationError("there is no such file, and TLS needs it.", file=path, remedy="Put it there.")


def check_version(version: str) -> None:
    """Raise `ConfigurationError` for what cannot be the version of a key."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise ConfigurationError(
            "the version of the key in Vault is no number.", remedy="Name the one that is to be used, as 1."
        )


class VaultSession:
    """The one session with a server. Safe for threads. `look` is called after each log-in, with the lock held."""

    def __init__(
        self,
        place: VaultPlace,
        custody: Custody,
        *,
        keeper: str,
        patience: Patience,
        look: Callable[[VaultSession], object],
        reason_of: Callable[[str, str], str],
    ) -> None:
        self.keeper = keeper
        self.client = _make_client(place)
        self._place, self._custody, self._patience = place, custody, patience
        self._look, self._reason_of = look, reason_of
        self._lock = threading.Lock()
        self._logged_in = False
        self._renew_at = 0.0
        self._lease_seconds = 0.0
        self._refused: tuple[bytes, float] | None = None
        patience.ask(self._log_in)

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """Return what `question` has of the client. Raises `DependencyError` that names its reason."""
        return self._patience.ask(lambda: self._ask_once(lambda: question(self.client)))

    def named(self, question: Callable[[], Answer]) -> Answer:
        """Return what `question` does, and name what goes wrong; without logging in, without asking again."""
        try:
            return question()
        except (refused.VaultError, requests.exceptions.RequestException) as error:
            said = ", ".join(error.errors or ()) if isinstance(error, refused.VaultError) else ""
            reason = next((name for kind, name in _STATUSES if isinstance(error, kind)), None)
            reason = reason or self._reason_of(said, _otherwise(error))
            raise self._custody.unavailable(reason, self.keeper, said or error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise self._custody.unavailable("failing", self.keeper, f"an answer without {error}") from error

    def _ask_once(self, question: Callable[[], Answer]) -> Answer:
        with self._lock:
            self._stay_logged_in()
            try:
                return self.named(question)
            except DependencyError as error:
                if error.context["reason"] != "denied" or self._token_stands():
                    raise
                self._custody.asked_again(self._log_in, self.keeper)
                return self.named(question)

    def _stay_logged_in(self) -> None:
        if not self._logged_in:
            self._custody.asked_again(self._log_in, self.keeper)
            return
        if not self._lease_seconds or self._patience.clock() < self._renew_at:
            return
        try:
            granted = self.named(self.client.auth.token.renew_self)["auth"]["lease_duration"]
        except DependencyError as error:
            if error.context["reason"] in _NEVER_SERVED:
                raise
            # Whatever it answers (a token past its time is a 500), it does not renew this one.
            granted = 0
        if granted <= self._lease_seconds / 2:
            self._custody.asked_again(self._log_in, self.keeper)
        else:
            self._renew_at = self._patience.clock() + granted * RENEW_AFTER

    def _log_in(self) -> None:
        """Log in, and have it looked at whether what is used there is still fit."""
        place = self._place
        # Until it was looked at, the token that comes is used for nothing else.
        self._logged_in = False
        secret = read_secret(Path(place.secret_id_file), "secret id")
        digest, now = sha256(secret.encode()).digest(), self._patience.clock()
        if self._refused and self._refused[0] == digest and now < self._refused[1]:
            raise self._custody.unavailable("credentials", self.keeper, "this secret id was refused a moment ago")
        try:
            auth = self.named(
                lambda: self.client.auth.approle.login(place.role_id, secret, mount_point=place.auth_mount)
            )["auth"]
        except DependencyError as error:
            if error.context["reason"] not in ("denied", "wrong_key", "credentials"):
                raise
            self._refused = digest, now + LOG_IN_PAUSE_SECONDS
            raise self._custody.unavailable(
                "credentials", self.keeper, f"the log-in was refused: {error.__cause__}"
            ) from error
        self._lease_seconds = float(auth["lease_duration"])
        self._renew_at = self._patience.clock() + self._lease_seconds * RENEW_AFTER
        self._look(self)
        self._logged_in = True

    def _token_stands(self) -> bool:
        """Say whether the server still knows our token: then what it refuses, its policy refuses."""
        try:
            self.named(self.client.auth.token.lookup_self)
        except DependencyError as error:
            if error.context["reason"] == "denied":
                return False
            raise
        return True


def _make_client(place: VaultPlace) -> Any:
    session = requests.Session()
    # Neither ~/.netrc nor somebody's proxy or bundle of authorities has a say in where our secret goes.
    session.trust_env = False
    session.verify = place.ca_file or True
    if place.client_cert_file:
        session.cert = (place.client_cert_file, place.client_key_file)
    return hvac.Client(
        url=place.url,
        token="",
        namespace=place.namespace or None,
        timeout=TIMEOUT_SECONDS,
        session=session,
    )


def _otherwise(error: Exception) -> str:
    if isinstance(error, refused.Forbidden):
        return "denied"
    return "wrong_key" if isinstance(error, refused.InvalidRequest) else "failing"
