"""The names in the environment: what each sets, what it was called before, and what to say of one that sets nothing.

Standard library alone. No warning and no error repeats a value: some are secrets.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from ledger_core.errors import ConfigurationError

PREFIX = "COUNTERFOIL_"
HOME_FOLDER_NAME = ".counterfoil"
ENVIRONMENTS = ("development", "test", "staging", "production")
STRICT_ENVIRONMENTS = ("staging", "production")
"""Where nothing weak stands in for what is missing (`strict.py`); staging is production with other data."""
BETWEEN = "__"
"""Between a room and a name of it. A service named `counterfoil-api` makes Kubernetes set `COUNTERFOIL_API_PORT`."""

Place = tuple[str, ...]
"""Where a setting stands: `("book",)`, or `("api", "port")`."""

SHARED_NAMES = {
    "home_path": f"{PREFIX}HOME",
    "database_url": "DATABASE_URL",
    "kafka_bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
}
"""What is shared and not called as its field is."""
OLD_NAMES = {
    f"{PREFIX}API_PORT": f"{PREFIX}API__PORT",
    f"{PREFIX}DAGSTER_PORT": f"{PREFIX}ORCHESTRATION__PORT",
    f"{PREFIX}DOMAIN": f"{PREFIX}LEDGER__DOMAIN",
    f"{PREFIX}FIRST_CLOSE_ON": f"{PREFIX}ORCHESTRATION__FIRST_CLOSE_ON",
    f"{PREFIX}GRACE_BUSINESS_DAYS": f"{PREFIX}RECONCILIATION__GRACE_BUSINESS_DAYS",
    f"{PREFIX}LEGAL_ENTITY": f"{PREFIX}LEDGER__LEGAL_ENTITY",
    f"{PREFIX}MAX_BODY_BYTES": f"{PREFIX}API__MAX_BODY_BYTES",
    f"{PREFIX}POSTGRES_PORT": f"{PREFIX}LEDGER__POSTGRES_PORT",
    f"{PREFIX}PROVIDER_ACCOUNT": f"{PREFIX}INGEST__PROVIDER_ACCOUNT",
    f"{PREFIX}SIGNATURE_WAIT_SECONDS": f"{PREFIX}SIGNING__WAIT_SECONDS",
    f"{PREFIX}UNSIGNED_TAIL_MAX_RECORDS": f"{PREFIX}LEDGER__UNSIGNED_TAIL_MAX_RECORDS",
    f"{PREFIX}UNSIGNED_TAIL_MAX_SECONDS": f"{PREFIX}LEDGER__UNSIGNED_TAIL_MAX_SECONDS",
}
"""Names of before the rooms had settings of their own: still read, with a warning."""

_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP)(_[A-Z]+)?$")


class SettingsWarning(UserWarning):
    """A name in the environment is an old one, or nobody's."""


@dataclass(slots=True)
class Found:
    """What the environment says: `values` by room and name, and the variable that each came from."""

    values: dict[str, object] = field(default_factory=dict)
    variables: dict[Place, str] = field(default_factory=dict)

    def take(self, place: Place, variable: str, value: str) -> None:
        """Keep `value`, which `variable` gave, for the setting at `place`."""
        self.variables[place] = variable
        values = self.values
        for part in place[:-1]:
            inner = values.setdefault(part, {})
            assert isinstance(inner, dict)
            values = inner
        values[place[-1]] = value


def variable_of(place: Place) -> str:
    """Return the variable that sets what stands at `place`."""
    return SHARED_NAMES.get(place[0]) or PREFIX + BETWEEN.join(place).upper()


def read_environment(environ: Mapping[str, str], known: Mapping[str, Place]) -> Found:
    """Return what `environ` sets of `known` (variable to place), warning of old names and of unknown ones.

    Names are read in either case, as they always were. Raises `ConfigurationError` when an old name and its new one
    say different things.
    """
    shared = frozenset(SHARED_NAMES.values())
    given = {
        name.upper(): value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) or name.upper() in shared
    }
    found = Found()
    for name, value in given.items():
        if name in known:
            found.take(known[name], name, value)
    for name, value in sorted(given.items()):
        if name in known or not name.startswith(PREFIX) or _is_service_link(name, value):
            continue
        if name not in OLD_NAMES:
            nearest = nearest_name(name, known)
            _warn(f"{name} sets nothing: the name nearest to it is {nearest}.")
            continue
        new = OLD_NAMES[name]
        if given.get(new, value) != value:
            raise ConfigurationError(
                f"{name} and {new} say different things.", remedy=f"Unset {name}: {new} is its name now."
            )
        _warn(f"{name} is now called {new}; the old name is still read.")
        if new not in given:
            found.take(known[new], name, value)
    return found


def nearest_name(name: str, known: Mapping[str, Place]) -> str:
    """Return the known variable that `name` was probably meant to be."""
    candidates = sorted(name for name in {*known, *OLD_NAMES} if name.startswith(PREFIX))
    (nearest,) = get_close_matches(name, candidates, n=1, cutoff=0.0)
    return OLD_NAMES.get(nearest, nearest)


def _is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes set this, as it does for each service it knows: not a word to us."""
    return bool(_SERVICE_LINK.search(name)) or (name.endswith("_PORT") and value.startswith(("tcp://", "udp://")))


def _warn(message: str) -> None:
    warnings.warn(message, SettingsWarning, stacklevel=2)
