"""Run the API: one worker, uvloop and httptools.

One worker is enough and better: every post of one process shares one group commit, while two processes would take turns
at the head of the book. More replicas are for availability.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import socket
import sys

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.app import create_app
from api.http.connections import MAX_CONNECTIONS, MAX_PER_PEER, Connection
from ledger_core.errors import CounterfoilError
from ledger_core.settings import load_settings
from ledger_core.settings.strict import refuse_what_is_weak

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which most balancers drop an idle connection, so that they close first."""
GRACE_SECONDS = 35
"""Longer than a post waits for its signature (`signing.wait_seconds`, 30 s)."""

FILES_OF_OUR_OWN = 256
"""Connections to the database, logs, the proxy's socket, the listener of health."""
HEALTH_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


def build() -> FastAPI:
    """Return the app of the environment's settings, for `uvicorn --factory api.server:build`."""
    settings = load_settings()
    refuse_what_is_weak(settings)
    return create_app(settings)


class Server(uvicorn.Server):
    """uvicorn's server, and beside it a listener for health with places of its own, on the same loop."""

    def __init__(self, config: uvicorn.Config, *, health: uvicorn.Config | None = None) -> None:
        super().__init__(config)
        self.health = health

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on both."""
        await super().startup(sockets=sockets)
        if self.health is None or self.should_exit:
            return
        health, state = self.health, ServerState()
        health.load()
        listener = await asyncio.get_running_loop().create_server(
            lambda: HealthConnection(config=health, server_state=state, app_state=self.lifespan.state),
            host=health.host,
            port=health.port,
        )
        self.servers.append(listener)


class HealthConnection(Connection):
    """A connection that asks for health: few are needed, and each is short."""

    max_connections = 64
    max_per_peer = 48
    head_seconds = 2.0
    body_seconds = 2.0


def places(wanted: int = MAX_CONNECTIONS) -> int:
    """Return how many connections the process may hold, having asked the system for as many files as `wanted` takes.

    Without a place for one more the kernel would let strangers wait, and nobody would be there to give way.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + FILES_OF_OUR_OWN
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(64, min(wanted, soft - FILES_OF_OUR_OWN))


def health_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Return how health alone is served: every other address is not found there."""

    async def health_alone(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in HEALTH_PATHS:
            scope = {**scope, "path": "/", "raw_path": b"/"}
        await app(scope, receive, send)

    return uvicorn.Config(
        health_alone, host=host, port=port, lifespan="off", ws="none", server_header=False, log_config=None
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return 2 when the installation cannot run."""
    parser = argparse.ArgumentParser(prog="python -m api.server", description="Serve the Counterfoil API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--health-port", type=int, default=0, help="a listener of its own for health and metrics")
    parser.add_argument("--socket", help="a Unix socket to listen on, in place of host and port")
    parser.add_argument("--access-log", action="store_true", help="one line per request")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        app = build()
        unix_socket = options.socket or load_settings().api.socket
    except CounterfoilError as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2
    Connection.max_connections = places()
    Connection.max_per_peer = min(MAX_PER_PEER, Connection.max_connections * 3 // 4)
    server = Server(
        uvicorn.Config(
            app,
            uds=None if unix_socket is None else str(unix_socket),
            host=options.host,
            port=options.port,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http=Connection,
            ws="none",
            workers=1,
            access_log=options.access_log,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
            log_config=None,
        ),
        health=health_config(app, options.host, options.health_port) if options.health_port else None,
    )
    server.run()
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
