"""Which back-end signs: the one place that chooses it, by the signer's setting `signing.backend`.

A back-end is one module in `backends/`, one line in `BACKENDS`, and its settings in `settings/signer.py`. Not the
first start, which `bootstrap.py` makes around whatever was chosen. Invariant: what the environment forbids is refused
before any file is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ledger_core.errors import ConfigurationError
from ledger_core.settings.signer import BACKEND_VARIABLE, SignerSettings
from ledger_core.signing.port import SigningBackend

# By name, because a back-end's library is installed where it is used and nowhere else: it loads when it is chosen.
BACKENDS: Mapping[str, str] = {
    "software": "ledger_core.signing.backends.software",
    "pkcs11": "ledger_core.signing.backends.pkcs11",
    "awskms": "ledger_core.signing.backends.awskms",
    "vault": "ledger_core.signing.backends.vault",
}
"""The module of each back-end, by the word that the setting, every registry, proof and report call it."""


class BackendModule(Protocol):
    """What the module of a back-end has at its top level."""

    def check_settings(self, settings: SignerSettings) -> None:
        """Raise `ConfigurationError` where it must not, or cannot, be used. No file is looked at, no key reached."""
        ...

    def open_key(self, settings: SignerSettings, folder: Path) -> SigningBackend:
        """Return the key that signs; `folder` is the proxy's own. Raises `ConfigurationError`, `DependencyError`."""
        ...


def choose_backend(settings: SignerSettings) -> BackendModule:
    """Return the module of the back-end that `settings` name. Raises `ConfigurationError`."""
    name = BACKENDS.get(settings.backend)
    if name is None:
        raise ConfigurationError(
            f"there is no signing back-end {settings.backend!r:.40}.",
            remedy=f"Set {BACKEND_VARIABLE} to one of {', '.join(sorted(BACKENDS))}.",
        )
    try:
        module = cast(BackendModule, import_module(name))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        raise ConfigurationError(
            f"the signing back-end {settings.backend} needs {error.name}, which is not installed.",
            remedy=f"pip install 'counterfoil[{settings.backend}]' on the host of the keys.",
        ) from error
    module.check_settings(settings)
    return module
