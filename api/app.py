"""The application factory: wiring, and nothing else.

Nothing is opened at import. The lifespan opens the runtime (which starts what is lacking), reads the default book, and
closes everything when the server stops; requests that wait for a signature then are answered first.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from api.anchoring import Anchoring
from api.auth.port import open_authenticator
from api.http.middleware import Observe
from api.http.problems import install_handlers
from api.metrics import Metrics
from api.openapi import install_openapi
from api.routers import ROUTERS
from api.state import ApiState
from ingest.inbox.receive import Receiver
from ingest.landing.erasable import LandedFiles
from ledger_core.base.engine import make_engine
from ledger_core.base.objects.s3 import S3Store
from ledger_core.errors import DependencyError
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

READ_CONNECTIONS = 16
"""Reads run in as many threads as there are connections, so that none waits for the pool and times out."""

_log = logging.getLogger("counterfoil.api")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(settings: Settings, *, runtime: Runtime | None = None) -> FastAPI:
    """Return the API for one installation.

    `runtime`, when given, is used and left open; otherwise the lifespan opens one and closes it. Raises
    `ConfigurationError` when the installation has no authenticator (production without an identity provider).
    """
    # The API is what COUNTERFOIL_LEDGER_URL points other processes to; it never posts to itself over HTTP.
    settings = settings.model_copy(update={"ledger_url": None, "ledger_token": None})
    metrics = Metrics()
    state = ApiState(settings=settings, authenticator=open_authenticator(settings), metrics=metrics)
    app = FastAPI(
        title="Counterfoil",
        version="1",
        summary="Payments ledger that proves itself.",
        openapi_url=None,  # api/routers/docs.py serves it, written once
        docs_url=None,  # the stock page loads its scripts from elsewhere; the same module serves them itself
        redoc_url=None,
        lifespan=_lifespan(state, runtime),
        redirect_slashes=False,
        # Telemetry is our own metrics; the built-in costs a span per dependency.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.api = state
    app.add_middleware(Observe, metrics=metrics)
    install_handlers(app)
    for router in ROUTERS:
        # The routes themselves: a router that is included is matched twice a request, a twentieth of a post.
        app.router.routes.extend(router.routes)
    install_openapi(app)
    return app


def _lifespan(state: ApiState, given: Runtime | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warning = state.authenticator.announcement()
        if warning:
            _log.warning(warning)
        to_thread.current_default_thread_limiter().total_tokens = READ_CONNECTIONS
        with ExitStack() as stack:
            stack.callback(state.health.close)
            await run_in_threadpool(_open, state, given, stack)
            yield
            await run_in_threadpool(stack.close)

    return lifespan


def _open(state: ApiState, given: Runtime | None, stack: ExitStack) -> None:
    settings = state.settings
    state.runtime = given or stack.enter_context(open_runtime(settings, files=LandedFiles()))
    state.reader = make_engine(
        state.runtime.database_url, role="reader", application="counterfoil-api", pool_size=READ_CONNECTIONS
    )
    stack.callback(state.reader.dispose)
    state.adopt(settings.book, state.runtime.ledger(settings.book))
    state.receiver = Receiver(state.runtime)
    if isinstance(state.runtime.archive, S3Store):
        _require_archive(state.runtime.archive)
    if settings.archive.anchor_seconds:
        anchoring = Anchoring(state.runtime, state.metrics, seconds=settings.archive.anchor_seconds)
        anchoring.start()
        stack.callback(anchoring.close)


def _require_archive(archive: S3Store) -> None:
    """Raise `ConfigurationError` for a bucket that would let what is archived be deleted; one that is away may come."""
    try:
        archive.require_locked()
    except DependencyError as error:
        _log.warning("the archive does not answer: %s", error)
