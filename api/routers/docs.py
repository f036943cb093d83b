"""The documentation page: Swagger UI over the OpenAPI document, where a request can be tried with a token.

Every byte comes from this process: the scripts lie in the package `fastapi-offline` (its application factory is not
used, because its page starts by an inline script and serves a second page nobody needs). The page's policy allows this
origin alone, so that what would load from elsewhere, or run from the page's text, is refused by the browser.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from api.http.problems import ApiProblem

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-cache"}

# Addresses are relative: the page also works behind a proxy that serves the API below a path.
_PAGE = b"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Counterfoil API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css"><link rel="stylesheet" href="docs/page.css">
</head><body>
<noscript><p>This page needs script. The contract as a file: <a href="openapi.json">openapi.json</a>.</p></noscript>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/page.js"></script>
</body></html>
"""

_SCRIPT = b"""\
"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the stock one sends the document to a service on the internet
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""

_STYLE = b"""\
body { margin: 0; }
noscript p { margin: 2rem; font-family: system-ui, sans-serif; }
/* Each problem has the same shape, and ten copies of it would bury the answers. */
.swagger-ui .response:not([data-code^="2"]) .response-control-media-type,
.swagger-ui .response:not([data-code^="2"]) .model-example { display: none; }
.swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { padding: 1px 4px; color: inherit; font-weight: 500; }
"""

_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_OURS = {"page.css": _STYLE, "page.js": _SCRIPT}
_PACKAGED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file of the page, read once a process."""

    content: bytes
    media_type: str
    etag: str


@router.get("/docs")
async def docs() -> Response:
    """Show every operation, and let the reader try it."""
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> Response:
    """Return the contract, written once a process: writing it costs as much as a dozen posts."""
    return _answer(request, _openapi(request.app))


@router.get("/docs/{name}")
async def docs_asset(request: Request, name: str) -> Response:
    """Return a script or a style of the page; a browser that has it already gets 304."""
    return _answer(request, read_asset(name))


def _answer(request: Request, asset: Asset) -> Response:
    headers = {**_HEADERS, "etag": asset.etag}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@cache
def _openapi(app: FastAPI) -> Asset:
    content = orjson.dumps(app.openapi())
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content=content, media_type="application/json", etag=etag)


def read_asset(name: str) -> Asset:
    """Return the file `name` of the page. Raises a 404 problem for any other: a name is never made into a path."""
    if name not in _OURS and name not in _PACKAGED:
        raise ApiProblem(404, "not_found", f"The page has no file {name[:80]!r}.")
    return _asset(name)


@cache
def _asset(name: str) -> Asset:
    content = _OURS.get(name) or (files("fastapi_offline") / "static" / name).read_bytes()
    return Asset(
        content=content,
        media_type=_MEDIA_TYPES[name.rpartition(".")[2]],
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )
