"""The back-end whose key lies in the transit engine of HashiCorp Vault or OpenBao.

One version of the key signs, and another only when the registry says so too: a rotation there must not change who
signs here. The log-in is AppRole's over TLS; its token is renewed while requests come, and had anew once it is gone.
One request at a time, one signature a request. Invariants: the key can be neither exported nor backed up in plain,
asked at the start and at each log-in; a token that stands and is refused is a policy, and no log-in mends that.
Source: the API pages of transit and AppRole, which both servers share.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import hvac
import requests
from hvac import exceptions as refused

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import Patience, asked_again, checked, probed, read_secret, unavailable
from ledger_core.signing.transit_format import public_key_of, reason_of, signature_of

NAME = "vault"

TIMEOUT_SECONDS = (1.0, 3.0)
"""To connect, and to answer: a signature takes 1 to 3 ms, and longer where an audit device is slow."""
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

Answer = TypeVar("Answer")


class TransitKey:
    """One version of a transit key. Safe for threads."""

    name = NAME
    assurance = "kms"

    def __init__(self, settings: SignerSettings, patience: Patience) -> None:
        self._settings = settings
        self._version = int(settings.vault_key_version)
        self._keeper = f"Vault {settings.vault_url} {settings.vault_mount}/{settings.vault_key} v{self._version}"
        self._patience = patience
        self._lock = threading.Lock()
        self._client = _make_client(settings)
        self._logged_in = False
        self._renew_at = 0.0
        self._lease_seconds = 0.0
        self._refused: tuple[bytes, float] | None = None
        self._public_key = patience.ask(self._log_in)

    @property
    def public_key(self) -> PublicKey:
        """The public half of the pinned version, read at the start."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (ECDSA: DER). Raises `DependencyError` that names its reason,
        `IntegrityError` where another key or version signed."""
        asked: dict[str, Any] = {"key_version": self._version, "batch_input": [{"input": _base64(message)}]}
        if self._public_key.algorithm == ECDSA_P256:
            asked["batch_input"] = [{"input": _base64(sha256(message).digest())}]
            asked |= {"prehashed": True, "hash_algorithm": "sha2-256", "marshaling_algorithm": "asn1"}
        found = self._patience.ask(lambda: self._sign_once(asked))
        return checked(self._public_key, message, signature_of(found, self._version, self._keeper), self._keeper)

    def _sign_once(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        def ask() -> Mapping[str, Any]:
            transit = self._client.secrets.transit
            answer = transit.sign_data(self._settings.vault_key, mount_point=self._settings.vault_mount, **asked)
            (item,) = answer["data"]["batch_results"]
            found: Mapping[str, Any] = item
            return found

        with self._lock:
            self._stay_logged_in()
            try:
                return self._named(ask)
            except DependencyError as error:
                if error.context["reason"] != "denied" or self._token_stands():
                    raise
                asked_again(self._log_in, self._keeper)
                return self._named(ask)

    def _stay_logged_in(self) -> None:
        if not self._logged_in:
            asked_again(self._log_in, self._keeper)
            return
        if not self._lease_seconds or self._patience.clock() < self._renew_at:
            return
        try:
            granted = self._named(self._client.auth.token.renew_self)["auth"]["lease_duration"]
        except DependencyError as error:
            if error.context["reason"] in ("slow", "unreachable", "sealed", "throttled"):
                raise
            # Whatever it answers (a token past its time is a 500), it does not renew this one.
            granted = 0
        if granted <= self._lease_seconds / 2:
            asked_again(self._log_in, self._keeper)
        else:
            self._renew_at = self._patience.clock() + granted * RENEW_AFTER

    def _log_in(self) -> PublicKey:
        """Log in, and see whether the key is still one that cannot leave; return its public half."""
        settings = self._settings
        # Until the key was looked at, the token that comes is used for nothing else.
        self._logged_in = False
        secret = read_secret(Path(settings.vault_secret_id_file), "secret id")
        digest, now = sha256(secret.encode()).digest(), self._patience.clock()
        if self._refused and self._refused[0] == digest and now < self._refused[1]:
            raise unavailable("credentials", self._keeper, "this secret id was refused a moment ago")

        def ask() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = self._client.auth.approle.login(
                settings.vault_role_id, secret, mount_point=settings.vault_auth_mount
            )
            return answer

        try:
            auth = self._named(ask)["auth"]
        except DependencyError as error:
            if error.context["reason"] not in ("denied", "wrong_key", "credentials"):
                raise
            self._refused = digest, now + LOG_IN_PAUSE_SECONDS
            raise unavailable("credentials", self._keeper, f"the log-in was refused: {error.__cause__}") from error
        self._lease_seconds = float(auth["lease_duration"])
        self._renew_at = self._patience.clock() + self._lease_seconds * RENEW_AFTER
        public_key = self._read_key()
        self._logged_in = True
        return public_key

    def _read_key(self) -> PublicKey:
        settings = self._settings

        def ask() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = self._client.secrets.transit.read_key(
                settings.vault_key, mount_point=settings.vault_mount
            )
            return answer

        found = self._named(ask)["data"]
        return public_key_of(found, self._version, self._keeper)

    def _token_stands(self) -> bool:
        """Say whether the server still knows our token: then what it refuses, its policy refuses."""
        try:
            self._named(self._client.auth.token.lookup_self)
        except DependencyError as error:
            if error.context["reason"] == "denied":
                return False
            raise
        return True

    def _named(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except (refused.VaultError, requests.exceptions.RequestException) as error:
            said = ", ".join(error.errors or ()) if isinstance(error, refused.VaultError) else ""
            reason = next((name for kind, name in _STATUSES if isinstance(error, kind)), None)
            raise unavailable(reason or reason_of(said, _otherwise(error)), self._keeper, said or error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise unavailable("failing", self._keeper, f"an answer without {error}") from error


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where a setting is missing or none."""
    settings.need("vault_url", "vault_key", "vault_key_version", "vault_mount", "vault_auth_mount")
    settings.need("vault_role_id", "vault_secret_id_file")
    if not settings.vault_url.startswith("https://"):
        raise ConfigurationError("Vault is not spoken to without TLS.", remedy="Begin its address with https://.")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", settings.vault_key_version):
        raise ConfigurationError(
            "the version of the key in Vault is no number.", remedy="Name the one that the registry holds, as 1."
        )
    if bool(settings.vault_client_cert_file) != bool(settings.vault_client_key_file):
        raise ConfigurationError(
            "of the client certificate for Vault one half is set.", remedy="Name certificate and key, or neither."
        )


def open_key(settings: SignerSettings, folder: Path, *, patience: Patience | None = None) -> TransitKey:
    """Return the key in Vault; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    for path in (settings.vault_ca_file, settings.vault_client_cert_file, settings.vault_client_key_file):
        if path and not Path(path).is_file():
            raise ConfigurationError("there is no such file, and TLS needs it.", file=path, remedy="Put it there.")
    return probed(TransitKey(settings, patience or Patience()))


def _make_client(settings: SignerSettings) -> Any:
    session = requests.Session()
    # Neither ~/.netrc nor somebody's proxy or bundle of authorities has a say in where our secret goes.
    session.trust_env = False
    session.verify = settings.vault_ca_file or True
    if settings.vault_client_cert_file:
        session.cert = (settings.vault_client_cert_file, settings.vault_client_key_file)
    return hvac.Client(
        url=settings.vault_url,
        token="",
        namespace=settings.vault_namespace or None,
        timeout=TIMEOUT_SECONDS,
        session=session,
    )


def _otherwise(error: Exception) -> str:
    if isinstance(error, refused.Forbidden):
        return "denied"
    return "wrong_key" if isinstance(error, refused.InvalidRequest) else "failing"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
