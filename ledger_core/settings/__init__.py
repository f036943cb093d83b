"""The one place that reads the environment.

Nothing is read at import: `load_settings()` is called once by each entry point, and the result is handed down. Each
room has a model of its own (`settings.api.port` is `COUNTERFOIL_API__PORT`); what all rooms share is flat
(`COUNTERFOIL_HOME`, and `DATABASE_URL`, which is everybody's).

`model` and `rooms` are made of pydantic, which the signing proxy does without: so they load when they are asked for,
and the proxy's own settings stand in `signer`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ledger_core.settings.environment import HOME_FOLDER_NAME

if TYPE_CHECKING:
    from ledger_core.settings.model import Settings, find_home, load_settings

__all__ = [
    "HOME_FOLDER_NAME",
    "MAX_BATCH_BYTES",
    "MAX_BATCH_RECORDS",
    "Settings",
    "find_home",
    "load_settings",
]

MAX_BATCH_RECORDS = 1_000
MAX_BATCH_BYTES = 4 * 1024 * 1024


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
