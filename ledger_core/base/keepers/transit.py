"""What the transit engine of Vault and OpenBao says of a key, judged: pure, no server needed.

Source: the API page of transit (Read key), which both servers share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger_core.errors import ConfigurationError

_UNFIT = {
    "exportable": "can be exported",
    "allow_plaintext_backup": "can be backed up in plain",
    "imported_key": "was brought here, and so can be elsewhere too",
    "derived": "is another one for each context",
}


def refuse_unfit(found: Mapping[str, Any], keeper: str) -> None:
    """Raise `ConfigurationError` for a key that can be had elsewhere, or is not one key."""
    for name, what in _UNFIT.items():
        if found.get(name):
            raise ConfigurationError(
                f"{keeper} {what}.", remedy="Make a key of its own for this, without that, and rotate to it."
            )
