"""What the signing proxy reads of the environment, without pydantic: little code lies beside the keys."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ledger_core.errors import ConfigurationError
from ledger_core.settings.environment import ENVIRONMENTS, Place, read_environment, variable_of

PLACES: dict[str, Place] = {"env": ("env",), "backend": ("signing", "backend")}
"""Where each of the proxy's settings stands among everybody's; a back-end's own are listed here too."""
BACKEND_VARIABLE = variable_of(PLACES["backend"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerSettings:
    """The proxy's settings; where its keys and its socket are is said by its arguments."""

    env: str = "development"
    """One of `ENVIRONMENTS`: in staging and production a key in a file is refused."""
    backend: str = "software"
    """Who signs: a name of `ledger_core/signing/open.py`."""

    def __post_init__(self) -> None:
        if self.env not in ENVIRONMENTS:
            raise ConfigurationError(f"{variable_of(('env',))}: it is one of {', '.join(ENVIRONMENTS)}.")


def load_signer_settings() -> SignerSettings:
    """Read the environment. Raises `ConfigurationError` naming the variable."""
    known = {variable_of(place): (name,) for name, place in PLACES.items()}
    # Only its own: of the other names those processes speak that have them all.
    own = {key: value for key, value in os.environ.items() if key.upper() in known}
    found = read_environment(own, known)
    return SignerSettings(**{name: str(value) for name, value in found.values.items()})
