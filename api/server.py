"""Run the API: one worker, uvloop and httptools.

One worker is enough and better: every post of one process shares one group commit, while two processes would take turns
at the head of the book. More replicas are for availability.
"""

from __future__ import annotations

import argparse
import logging
import sys

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from ledger_core.errors import CounterfoilError
from ledger_core.settings import load_settings

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which most balancers drop an idle connection, so that they close first."""
GRACE_SECONDS = 35
"""Longer than a post waits for its signature (`signing.wait_seconds`, 30 s)."""
MAX_CONNECTIONS = 2_048


def build() -> FastAPI:
    """Return the app of the environment's settings, for `uvicorn --factory api.server:build`."""
    return create_app(load_settings())


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return 2 when the installation cannot run."""
    parser = argparse.ArgumentParser(prog="python -m api.server", description="Serve the Counterfoil API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--access-log", action="store_true", help="one line per request")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        app = build()
    except CounterfoilError as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="httptools",
            workers=1,
            access_log=options.access_log,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            limit_concurrency=MAX_CONNECTIONS,
            server_header=False,
            log_config=None,
        )
    )
    server.run()
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
