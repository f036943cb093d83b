"""Which providers of webhooks there are: every module of this folder with a `PROVIDER`.

A new one is found by this module, the route and the command line; nothing else names it.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from ingest.inbox.port import Provider
from ledger_core.errors import InvalidInput


@cache
def provider_names() -> tuple[str, ...]:
    """Return the names of the providers, in order."""
    folders = [Path(folder) for folder in __path__]
    modules = [path.stem for folder in folders for path in folder.glob("*.py") if path.stem != "__init__"]
    packages = [path.parent.name for folder in folders for path in folder.glob("*/__init__.py")]
    return tuple(sorted([*modules, *packages]))


def find_provider(name: str) -> Provider:
    """Return the provider called `name`. Raises `InvalidInput` listing those there are."""
    if name not in provider_names():
        raise InvalidInput(
            f"there is no provider {name[:40]!r} of webhooks.", remedy=f"Use one of: {', '.join(provider_names())}."
        )
    provider: Provider = importlib.import_module(f"ingest.inbox.providers.{name}").PROVIDER
    return provider
