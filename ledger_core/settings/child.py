"""What a process that this one starts is told: a list of names, never this one's whole environment.

A token or a password in the environment of whoever typed a command has no work in a database server, and stays there
for as long as the server runs. Settings are handed on as they were checked, so that what a command was told on its
command line or by an old name is what its children hear. Invariant: a name that stands in no list here is not passed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger_core.log.bucket import SCHEME
from ledger_core.settings.environment import Place, variable_of

if TYPE_CHECKING:
    from ledger_core.settings.model import Settings

SYSTEM = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy", "NO_COLOR", "COVERAGE_PROCESS_START",
)  # fmt: skip
"""What any program on this machine may need to run at all; none is ever a secret."""
SYSTEM_PREFIXES = ("LC_", "PYTHON")
DATABASE_CLIENT = (
    "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE",
    "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGCHANNELBINDING", "PGGSSENCMODE", "PGCONNECT_TIMEOUT", "PGPASSWORD",
)  # fmt: skip
"""For those that open the database that `DATABASE_URL` names; the embedded one asks for none of it."""
KEEPER_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "awskms": (
        "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED",
    ),
    "pkcs11": ("SOFTHSM2_CONF",),
}  # fmt: skip
"""By back-end: what the library that reaches its keys reads. Told are the signing proxy, where it signs so, and those
that land files, where the files' keys are wrapped so."""
BUCKET_CLIENT = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
    "AWS_CA_BUNDLE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED", "HTTPS_PROXY", "https_proxy",
)  # fmt: skip
"""For those that read or write an archive in a bucket, where the archive is one."""

EVERYTHING: tuple[Place, ...] = ((),)
SIGNER_READS: tuple[Place, ...] = (("env",), ("signing",), ("archive", "endpoint"), ("archive", "region"))


def pass_on(names: Sequence[str], prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what our own environment says of `names`, and of names that begin with one of `prefixes`."""
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(prefixes)}


def child_environment(
    settings: Settings, reads: Sequence[Place] = EVERYTHING, *, lands: bool = False
) -> dict[str, str]:
    """Return the environment of a process that reads the settings below one of the places `reads`, and no others.

    The database's address and what its client reads go to those that read everything, what the library of its keys
    reads to the signing proxy, and to a process that `lands` files what that of the files' keys reads; the token for
    another ledger only where an address for it is set; what opens a bucket only where the archive is one, which every
    child reads.
    """
    environment = pass_on(SYSTEM, SYSTEM_PREFIXES)
    for place, value in _set_places(settings):
        if any(place[: len(prefix)] == prefix for prefix in reads):
            environment[variable_of(place)] = value
    if () in reads and settings.database_url:
        environment |= pass_on(DATABASE_CLIENT)
    if reads == SIGNER_READS:
        environment |= pass_on(KEEPER_LIBRARIES.get(settings.signing.backend, ()))
    if lands:
        environment |= pass_on(KEEPER_LIBRARIES.get(settings.file_keys.backend, ()))
    if settings.archive_address.startswith(SCHEME):
        environment |= pass_on(BUCKET_CLIENT)
    if settings.ledger_url is None:
        environment.pop(variable_of(("ledger_token",)), None)
    return environment | {
        "COUNTERFOIL_HOME": str(settings.home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }


@contextmanager
def lent(name: str, value: str) -> Iterator[None]:
    """Put `value` under `name` into our own environment while a library of ours reads it there and nowhere else."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _set_places(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Yield each setting that differs from its default, as the environment would say it."""
    from ledger_core.settings.model import Settings as Model
    from ledger_core.settings.model import known_names

    default = Model()
    for place in known_names().values():
        value, usual = _at(settings, place), _at(default, place)
        if value != usual:
            yield place, str(value)


def _at(settings: object, place: Place) -> object:
    for part in place:
        settings = getattr(settings, part)
    return settings
