"""The baseline of `bench/http_api.py`: a FastAPI POST that reads the same body and does nothing with it."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI


def build() -> FastAPI:
    """Return the app: one route, no middleware, no authentication."""
    app = FastAPI(openapi_url=None, telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/finance/journal-entries", status_code=201)
    async def noop(entry: dict[str, Any]) -> dict[str, str]:
        return {"external_id": entry["external_id"]}

    return app


if __name__ == "__main__":
    uvicorn.run(build(), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
