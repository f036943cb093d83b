"""Answers as bytes: JSON with members in a fixed order, so that a replay is the same byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as an `application/json` response."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json", headers=dict(headers or {}))
