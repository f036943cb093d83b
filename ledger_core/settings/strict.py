"""What staging and production refuse, each by name, before anything is made, started or connected to.

There is no fall-back there: whatever is missing or too weak is an error, and all of it is said at once, because an
operator who mends one line a start gives up at the fourth. Not the checks that need a connection (`doctor`). Invariant:
no refusal repeats a value, and looking changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ledger_core.errors import ConfigurationError
from ledger_core.settings.aws import SECRETS, weaknesses_of_aws
from ledger_core.settings.environment import HOME_FOLDER_NAME, STRICT_ENVIRONMENTS

if TYPE_CHECKING:
    from ledger_core.settings.model import Settings
    from ledger_core.settings.rooms import FileKeysSettings, IngestSettings, SigningSettings

VERIFY_FULL = "verify-full"
SECRET_VARIABLES = {
    "PGPASSWORD": "a database password",
    "PGPASSFILE": "a file of database passwords",
    "PGSERVICE": "a named connection, which may hold a password",
    "PGSERVICEFILE": "named connections, which may hold passwords",
    "PGSSLPASSWORD": "the password of a key",
    "COUNTERFOIL_LEDGER_TOKEN": "a token",
    "VAULT_TOKEN": "a token of Vault",
    "BAO_TOKEN": "a token of OpenBao",
    "STRIPE_API_KEY": "a key of Stripe's",
    "STRIPE_SECRET_KEY": "a key of Stripe's",
    **SECRETS,
}
SECRET_PARAMETERS = ("password", "sslpassword", "passfile", "service", "servicefile")
KEY_FILES = (
    "signer/key.pem", "signer/root.pem", "api/development-token.secret", "postgres/password", "dagster/password",
    "dagster/pgpass",
)  # fmt: skip
"""What development leaves in a home: keys and passwords that whoever copies the folder holds too."""
KEY_FOLDERS = ("wrapping", "webhooks")
"""Folders of a home in which files are keys and secrets."""


def refuse_what_is_weak(settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Return where development is allowed, or nothing is weak. Raises `ConfigurationError` that names everything."""
    if settings.env not in STRICT_ENVIRONMENTS:
        return
    found = list(_weaknesses(settings, os.environ if environ is None else environ))
    if found:
        raise ConfigurationError(
            f"COUNTERFOIL_ENV={settings.env} refuses {'; '.join(found)}.",
            remedy="Mend each of them; nothing was started.",
            refused=found,
        )


def _weaknesses(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    yield from _of_signer(settings.signing)
    yield from _of_file_keys(settings.file_keys)
    yield from _of_database(settings.database_url, environ)
    for name, what in SECRET_VARIABLES.items():
        if _given(environ, name):
            yield f"{what} in the environment ({name})"
    yield from weaknesses_of_aws(environ)
    if settings.ledger_url is not None and not settings.ledger_url.lower().startswith("https://"):
        yield "a ledger without TLS (COUNTERFOIL_LEDGER_URL begins with https://)"
    yield from _of_archive(settings)
    if settings.kafka_bootstrap_servers is not None and not settings.kafka.security.endswith("SSL"):
        yield "brokers without TLS (COUNTERFOIL_KAFKA__SECURITY is SSL or SASL_SSL)"
    yield from _of_stripe(settings.ingest)
    if settings.api.socket is None:
        yield "a TCP listener of the API (COUNTERFOIL_API__SOCKET names a Unix socket)"
    if settings.api.port:
        yield "a TCP port of the API (COUNTERFOIL_API__PORT)"
    home = _home_if_any(settings)
    if home is not None:
        yield from _of_home(home)


def _of_signer(signing: SigningSettings) -> Iterator[str]:
    if signing.url is None:
        # Of a proxy elsewhere its own start tells with what it may sign.
        if signing.backend == "software":
            yield "the software key (COUNTERFOIL_SIGNING__BACKEND names an HSM or a KMS)"
        else:
            yield "a signing proxy behind a plain socket (COUNTERFOIL_SIGNING__URL names one of mutual TLS)"
        return
    if not signing.url.startswith("https://"):
        yield "a signing proxy without TLS (COUNTERFOIL_SIGNING__URL begins with https://)"
    for name in ("ca_file", "cert_file", "key_file"):
        path: Path | None = getattr(signing, name)
        if path is None:
            yield f"a signing proxy without mutual TLS (COUNTERFOIL_SIGNING__{name.upper()} is not set)"
        elif name == "key_file" and path.exists() and path.stat().st_mode & 0o007:
            yield "a TLS key that everybody may read (COUNTERFOIL_SIGNING__KEY_FILE)"


def _of_file_keys(file_keys: FileKeysSettings) -> Iterator[str]:
    if file_keys.backend == "file":
        yield "keys of files that a key in a file wraps (COUNTERFOIL_FILE_KEYS__BACKEND names an HSM, a KMS or a Vault)"
    for what, name in (("a KMS", "awskms_endpoint"), ("a Vault", "vault_url")):
        address: str = getattr(file_keys, name)
        if address and not address.lower().startswith("https://"):
            yield f"{what} without TLS (COUNTERFOIL_FILE_KEYS__{name.upper()} begins with https://)"


def _of_archive(settings: Settings) -> Iterator[str]:
    if settings.env == "production" and settings.archive.lock == "governance":
        yield "an archive whose lock can be lifted (COUNTERFOIL_ARCHIVE__LOCK)"
    endpoint = settings.archive.endpoint
    if endpoint is not None and not endpoint.lower().startswith("https://"):
        yield "an archive without TLS (COUNTERFOIL_ARCHIVE__ENDPOINT begins with https://)"


def _of_stripe(ingest: IngestSettings) -> Iterator[str]:
    if not ingest.stripe_url.lower().startswith("https://"):
        yield "Stripe without TLS (COUNTERFOIL_INGEST__STRIPE_URL begins with https://)"
    if any(path.exists() and path.stat().st_mode & 0o007 for path in ingest.stripe_key_files.values()):
        yield "a key of Stripe's that everybody may read (COUNTERFOIL_INGEST__STRIPE_KEY_FILES)"


def _of_database(database_url: str | None, environ: Mapping[str, str]) -> Iterator[str]:
    if database_url is None:
        yield "the embedded database (DATABASE_URL names a server)"
        return
    try:
        address = urlsplit(database_url)
        given = parse_qs(address.query, keep_blank_values=True)
        password = address.password is not None
    except ValueError:
        yield "an address of the database that cannot be read (DATABASE_URL)"
        return
    if password or any(name in given for name in SECRET_PARAMETERS):
        yield "a password in DATABASE_URL"
    mode = given.get("sslmode", [_given(environ, "PGSSLMODE")])[-1]
    if mode != VERIFY_FULL:
        yield f"a database without sslmode={VERIFY_FULL} (in DATABASE_URL)"
    if "sslkey" in given and not Path(given["sslkey"][-1]).is_absolute():
        yield "a key file of no fixed place (sslkey in DATABASE_URL)"


def _of_home(home: Path) -> Iterator[str]:
    if not home.exists():
        return
    mode = home.stat().st_mode & 0o777
    if mode & 0o077:
        yield f"a home that others can open, mode {mode:04o} (chmod 700 {home})"
    for name in KEY_FILES:
        if (home / name).exists():
            yield f"the key file {name} in the home"
    for name in KEY_FOLDERS:
        if (home / name).is_dir() and any((home / name).iterdir()):
            yield f"key files in {name}/ in the home"


def _home_if_any(settings: Settings) -> Path | None:
    """Return the home without asking for one: whoever has none is told so by whoever needs it."""
    if settings.home_path is not None:
        return settings.home_path.expanduser()
    here = Path.cwd()
    found = (folder / HOME_FOLDER_NAME for folder in (here, *here.parents))
    return next((folder for folder in found if folder.is_dir()), None)


def _given(environ: Mapping[str, str], name: str) -> str:
    return next((value for key, value in environ.items() if key.upper() == name), "")
