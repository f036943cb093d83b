"""Parameters that several routes take: moments in time, pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from api.http.cursors import DEFAULT_PAGE, MAX_PAGE
from api.http.problems import ApiProblem
from ledger_core.errors import InvalidInput
from ledger_core.journal.entries import parse_timestamp

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Entries of a page.")]
Cursor = Annotated[str | None, Query(max_length=1024, description="From `next_cursor` of the page before.")]
EffectiveFrom = Annotated[str | None, Query(description="From this business time on, with a zone.")]
EffectiveBefore = Annotated[str | None, Query(description="Before this business time, with a zone.")]
EffectiveAt = Annotated[
    str | None,
    Query(
        description="As of this business time (inclusive), with a zone. Without it every entry counts, also one dated "
        "ahead."
    ),
]
KnownAt = Annotated[
    str | None,
    Query(
        description="As known at this recorded time (inclusive), with a zone. Without it all that is recorded counts."
    ),
]

__all__ = ["DEFAULT_PAGE", "Cursor", "EffectiveAt", "EffectiveBefore", "EffectiveFrom", "KnownAt", "Limit", "moment"]


def moment(name: str, given: str | None) -> datetime | None:
    """Return the moment that parameter `name` says. Raises a 422 problem that names it."""
    if given is None:
        return None
    # An unescaped "+" of a zone arrives as a space; no timestamp holds one otherwise.
    text = given.replace(" ", "+")
    try:
        return parse_timestamp(text, pointer=name)
    except InvalidInput as error:
        raise ApiProblem(
            422,
            "invalid_input",
            f"{name}: {error.message}",
            remedy=error.remedy,
            places=[{"parameter": name, "in": "query", "detail": error.message}],
        ) from error
