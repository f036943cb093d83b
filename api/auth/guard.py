"""What a route asks of its caller: a dependency that lets a request through by scope and yields the actor."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from api.auth.scopes import SCOPES
from ledger_core.actor import Actor
from ledger_core.errors import NotAllowed


class Scope(SecurityBase):
    """Let a request through when its caller holds one of `scopes`; as a dependency it returns the `Actor`."""

    def __init__(self, *scopes: str) -> None:
        unknown = [scope for scope in scopes if scope not in SCOPES]
        assert not unknown, f"no such scope: {unknown}"
        self.scopes = scopes
        self.model = HTTPBearerModel(
            bearerFormat="JWT", description="A development token (`counterfoil token --scope ...`)."
        )
        self.scheme_name = "bearer"

    async def __call__(self, request: Request) -> Actor:
        return require(authenticate(request), *self.scopes)


class PublicLog(Scope):
    """Let everybody read where the installation's log is public, and elsewhere whoever holds one of the scopes.

    A token is then not looked at: nobody is kept from what is open to all by one that has expired.
    """

    async def __call__(self, request: Request) -> Actor | None:
        if request.app.state.api.settings.api.public_log:
            return None
        return await super().__call__(request)


def authenticate(request: Request) -> Actor:
    """Return who is calling. Raises `Unauthenticated`."""
    actor: Actor = request.app.state.api.authenticator.authenticate(request.headers.get("authorization"))
    request.scope["actor"] = actor
    return actor


def require(actor: Actor, *scopes: str) -> Actor:
    """Return `actor` when it holds one of `scopes`. Raises `NotAllowed`, naming what is lacking."""
    if not actor.scopes.isdisjoint(scopes):
        return actor
    needed = " or ".join(scopes)
    raise NotAllowed(
        f"{actor.subject} does not hold the scope {needed}.",
        remedy=f"Ask for a token with the scope {needed}.",
        needed=list(scopes),
    )


JOURNAL_WRITER = Scope("journal:write")
JournalWriter = Annotated[Actor, Depends(JOURNAL_WRITER)]
JournalReader = Annotated[Actor, Depends(Scope("journal:read"))]
Eraser = Annotated[Actor, Depends(Scope("erasures:write"))]
RecordWriter = Annotated[Actor, Depends(Scope("reconciliation:run", "export:write", "security:report", "keys:admin"))]
LogReader = Annotated[Actor, Depends(Scope("journal:read", "export:read"))]
LogMonitor = Annotated[Actor | None, Depends(PublicLog("journal:read", "export:read"))]
