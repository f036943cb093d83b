"""The documentation page: rendered here from the OpenAPI document, with nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{margin-bottom:.2rem}h2{margin-top:2.5rem;border-bottom:1px solid #d5dae0}code,pre{font-family:ui-monospace,monospace}
pre{background:#f4f6f8;padding:.8rem;overflow-x:auto;font-size:13px}details{border:1px solid #d5dae0;border-radius:6px;
margin:.6rem 0;padding:.4rem .8rem}summary{cursor:pointer}.verb{display:inline-block;min-width:4.2rem;font-weight:600}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top}
p.hint{color:#57606a}
"""


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Show every operation, its parameters, bodies and answers."""
    page = render(request.app.openapi())
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(page, headers={"content-security-policy": policy})


def render(document: dict[str, Any]) -> str:
    """Return one self-contained page for an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Counterfoil API</title>",
        f"<style>{_STYLE}</style><h1>{_text(document['info']['title'])} API</h1>",
        *(f"<p>{_text(block)}</p>" for block in document["info"].get("description", "").split("\n\n")),
        "<p class=hint>Machine-readable: <a href='openapi.json'>openapi.json</a>.</p>",
    ]
    for tag in document.get("tags", []):
        parts.append(f"<h2>{_text(tag['name'])}</h2><p>{_text(tag.get('description', ''))}</p>")
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation.get("tags", []):
                    parts.append(_operation(path, method, operation, schemas))
    return "".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    lines = [
        f"<details id='{_text(operation.get('operationId', ''))}'><summary><span class=verb>{method.upper()}</span> "
        f"<code>{_text(path)}</code> {_text(operation.get('summary', ''))}</summary>",
        f"<p>{_text(operation.get('description', ''))}</p>",
    ]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{_text(item['name'])}</code><td>{_text(item['in'])}"
            f"{' (required)' if item.get('required') else ''}<td>{_text(item.get('description', ''))}"
            for item in parameters
        )
        lines.append(f"<table><tr><th>parameter<th>where<th>meaning{rows}</table>")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        lines.append(f"<p>Body</p>{_schema(content['schema'], schemas)}")
    for status, answer in operation.get("responses", {}).items():
        lines.append(f"<p><b>{_text(status)}</b> {_text(answer.get('description', ''))}</p>")
        if str(status).startswith("2"):
            for content in answer.get("content", {}).values():
                lines.append(_schema(content.get("schema", {}), schemas))
    return "".join(lines) + "</details>"


def _schema(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = schemas.get(name, schema)
    examples = found.get("examples") or []
    shown = examples[0] if examples else {key: _kind(value) for key, value in found.get("properties", {}).items()}
    return f"<p class=hint>{_text(name)}</p><pre>{_text(json.dumps(shown, indent=2, ensure_ascii=False))}</pre>"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _text(value: object) -> str:
    return html.escape(str(value))
