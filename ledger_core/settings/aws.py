"""What AWS's library would take from the environment that staging and production refuse: secrets, plain addresses.

The archive and a key in KMS are reached by that library, which looks for credentials and addresses in variables and
files of its own. A secret in the environment is read by every child and by whoever can look at the process; an address
without TLS, of the service or of the one that gives out credentials, shows the requests to whoever is on the way.
Standard library alone: the proxy and the ledger ask the same. Invariant: no value is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "a secret key of AWS",
    "AWS_SESSION_TOKEN": "a session token of AWS",
    "AWS_SECURITY_TOKEN": "a session token of AWS",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a token for credentials of AWS",
}
"""By name; a role of the machine, a file that its owner alone reads, a token in a file stand in their place."""
ENDPOINT = "AWS_ENDPOINT_URL"
"""Alone, or with the name of a service behind it: S3, KMS, and STS, which gives out credentials."""
CREDENTIALS = "AWS_SHARED_CREDENTIALS_FILE"
FILES = {"AWS_CONFIG_FILE": "config", CREDENTIALS: "credentials"}
"""What the library reads, by the variable that names it, and what it is called in ~/.aws; addresses count in both."""
MAX_CONFIG_BYTES = 1024 * 1024
_PLAIN = re.compile(r"^[ \t]*endpoint_url[ \t]*[=:][ \t]*(?!https://)\S", re.IGNORECASE | re.MULTILINE)


def weaknesses_of_aws(environ: Mapping[str, str]) -> Iterator[str]:
    """Say what in `environ`, and in the files that it names, is too weak for AWS's library to use; beside `SECRETS`."""
    given = {name.upper(): value for name, value in environ.items() if value}
    for name in sorted(given):
        if (name == ENDPOINT or name.startswith(f"{ENDPOINT}_")) and not given[name].lower().startswith("https://"):
            yield f"an address of AWS without TLS ({name} begins with https://)"
    for name, standard in FILES.items():
        path = _path_of(given, name, standard)
        if path is not None and _has_plain_endpoint(path):
            yield f"an address of AWS without TLS (endpoint_url in the file of {name} begins with https://)"
    path = _path_of(given, CREDENTIALS, FILES[CREDENTIALS])
    if path is not None and _is_open(path):
        yield f"credentials of AWS that everybody may read ({CREDENTIALS})"


def _path_of(given: Mapping[str, str], name: str, standard: str) -> Path | None:
    """Return where the library looks: the file that the variable names, or its own in the home; None where there is no
    home, and it finds none either."""
    named = given.get(name)
    if named is None and "HOME" in given:
        return Path(given["HOME"], ".aws", standard)
    try:
        return Path(named or f"~/.aws/{standard}").expanduser()
    except RuntimeError:
        return None


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o007)
    except OSError:
        return False  # whoever needs them says that they are not there


def _has_plain_endpoint(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PLAIN.search(file.read(MAX_CONFIG_BYTES).decode("utf-8", errors="replace")) is not None
    except OSError:
        return False  # what cannot be read here the library cannot either
