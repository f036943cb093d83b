"""What the signing proxy reads of the environment, without pydantic: little code lies beside the keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

from ledger_core.errors import ConfigurationError
from ledger_core.settings.aws import SECRETS as SECRETS_OF_AWS
from ledger_core.settings.aws import weaknesses_of_aws
from ledger_core.settings.environment import ENVIRONMENTS, Place, read_environment, variable_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerSettings:
    """The proxy's settings; where its keys and its socket are is said by its arguments.

    What only one back-end reads has its name before it, and is empty where it is not set. Never a secret: of a PIN, of
    a password the file's path stands here.
    """

    env: str = "development"
    """One of `ENVIRONMENTS`: in staging and production a key in a file is refused."""
    backend: str = "software"
    """Who signs: a name of `ledger_core/signing/open.py`."""

    pkcs11_module: str = ""
    """The token's library, by its whole path."""
    pkcs11_token: str = ""
    """The token's label."""
    pkcs11_key_label: str = ""
    pkcs11_key_id: str = ""
    """In hex; it or the label names the key, or both."""
    pkcs11_pin_file: str = ""

    awskms_key: str = ""
    """The key's ARN, which says the region too. Not an alias: that can be moved to another key."""
    awskms_endpoint: str = ""
    """A VPC endpoint's URL, where the region's public one is not to be used."""

    vault_url: str = ""
    vault_namespace: str = ""
    vault_mount: str = "transit"
    vault_key: str = ""
    vault_key_version: str = ""
    """The one version that signs; the newest is another after each rotation."""
    vault_auth_mount: str = "approle"
    vault_role_id: str = ""
    vault_secret_id_file: str = ""
    vault_ca_file: str = ""
    vault_client_cert_file: str = ""
    vault_client_key_file: str = ""
    archive_endpoint: str | None = None
    archive_region: str | None = None
    """How the bucket of the archive is reached, which is read when the proxy starts; its address is an argument."""

    def __post_init__(self) -> None:
        if self.env not in ENVIRONMENTS:
            raise ConfigurationError(f"{variable_of(('env',))}: it is one of {', '.join(ENVIRONMENTS)}.")

    def need(self, *names: str) -> None:
        """Raise `ConfigurationError` that names the variable of each of the settings `names` that is empty."""
        missing = [variable_of(PLACES[name]) for name in names if not getattr(self, name)]
        if missing:
            raise ConfigurationError(
                f"the signing back-end {self.backend} is not told {', '.join(missing)}.",
                remedy="Set what is missing; docs/runbooks/signing-backends.md says to what.",
            )


_ELSEWHERE: dict[str, Place] = {
    "env": ("env",),
    "archive_endpoint": ("archive", "endpoint"),
    "archive_region": ("archive", "region"),
}
PLACES: dict[str, Place] = {
    item.name: _ELSEWHERE.get(item.name, ("signing", item.name)) for item in fields(SignerSettings)
}
"""Where each of the proxy's settings stands among everybody's."""
BACKEND_VARIABLE = variable_of(PLACES["backend"])
SECRETS = {**SECRETS_OF_AWS, "VAULT_TOKEN": "a token of Vault", "BAO_TOKEN": "a token of OpenBao"}
"""By name; what a back-end logs in with lies in files that its owner alone reads."""


def weak_environment() -> Iterator[str]:
    """Say what in the proxy's environment staging and production refuse: secrets, and addresses without TLS."""
    yield from weaknesses_of_aws(os.environ)
    yield from (f"{what} in the environment ({name})" for name, what in SECRETS.items() if os.environ.get(name))


def load_signer_settings(*, backend: str | None = None) -> SignerSettings:
    """Read the environment; `backend`, where given, is who signs. Raises `ConfigurationError` naming the variable."""
    known = {variable_of(place): (name,) for name, place in PLACES.items()}
    # Only its own: of the other names those processes speak that have them all.
    own = {key: value for key, value in os.environ.items() if key.upper() in known}
    found = read_environment(own, known)
    given = {} if backend is None else {"backend": backend}
    return SignerSettings(**{**{name: str(value) for name, value in found.values.items()}, **given})
