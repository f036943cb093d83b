"""The authenticator port: a request's `Authorization` header in, an `Actor` out.

An adapter decides who is calling and with which scopes; it never decides what a route needs. The actor it returns
stands in every record that the request appends.
"""

from __future__ import annotations

from typing import Protocol

from api.auth.development import DevelopmentTokens
from ledger_core.actor import Actor
from ledger_core.errors import ConfigurationError
from ledger_core.settings import Settings


class Authenticator(Protocol):
    """Vouch for a caller."""

    def authenticate(self, authorization: str | None) -> Actor:
        """Return the actor that the header proves. Raises `Unauthenticated`, saying what does not hold."""
        ...

    def announcement(self) -> str | None:
        """Return what an operator must be told at start, None when there is nothing to warn of."""
        ...


def open_authenticator(settings: Settings) -> Authenticator:
    """Return the authenticator of this installation.

    Raises `ConfigurationError` in production: development tokens are refused there, and there is no silent fall-back.
    """
    if settings.strict:
        raise ConfigurationError(
            "COUNTERFOIL_ENV=production has no authenticator: development tokens are refused there.",
            remedy="Configure an identity provider, or run with COUNTERFOIL_ENV=development.",
        )
    return DevelopmentTokens(settings)
