"""Health and metrics: no token, no secrets."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.http.answers import json_answer
from api.http.problem_codes import MEANINGS, TITLES
from api.http.problems import ApiProblem
from api.openapi import router_of
from api.readiness import LATE, examine, update_log_gauges
from api.schemas.log import Ready
from api.state import Book, state_of
from ledger_core.journal.accounts import check_book_name

router = router_of("service")


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, str]:
    """Answer as long as the event loop turns."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Ready, summary="Can it do its work?")
async def readyz(request: Request, book: Book) -> Response:
    """Ask the database and the signing proxy; 503 names what is missing for a post to this book."""
    state, name = state_of(request), check_book_name(book)
    report = await state.health.ask(f"ready {name}", lambda: examine(state, name), late=LATE)
    if report.missing:
        names = ", ".join(item.dependency for item in report.missing)
        raise ApiProblem(
            503,
            "not_ready",
            f"Missing: {names}.",
            headers={"retry-after": "2"},
            missing=[item.model_dump() for item in report.missing],
        )
    return json_answer(report.document)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render what this process measured."""
    state = state_of(request)
    await state.health.ask("gauges", lambda: update_log_gauges(state), late=None)
    return Response(generate_latest(state.metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


@router.get("/problems/{code}", summary="What does a problem mean?")
async def problem_meaning(
    code: Annotated[str, Path(description="The last part of the address.", examples=["unbalanced_entry"])],
) -> dict[str, str]:
    """Answer the address that stands in a problem's `type`."""
    if code not in TITLES:
        raise ApiProblem(404, "not_found", f"There is no problem {code[:80]!r}.")
    return {"code": code, "title": TITLES[code], "meaning": MEANINGS.get(code, TITLES[code] + ".")}
