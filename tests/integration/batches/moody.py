"""A room whose rows are refused in the most various words, and what it sends between two neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger_core.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
)
from ledger_core.journal.accounts import account_draft
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.shapes import shape
from ledger_core.ports import Ask, Draft
from ledger_core.runtime import Runtime
from tests.integration.batches.shared import ME, one_batch, sale

CHART = [
    account_draft(code="assets:cash", type="asset", currency="USD"),
    account_draft(code="revenue:sales", type="revenue", currency="USD"),
]


class Moody(Kind):
    """A room's kind whose rows are refused in the most various words."""

    def project(self, conn: Any, book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for _, each in accepted:
            said = each.item.members["word"]
            for error in (NotAllowed, NotFound, Conflict, InvalidInput):
                if said == error.__name__:
                    raise error("not so")
            if said == "too large a number":
                conn.execute("select cast(%s as integer)", [2**40])
            if said == "no such table":
                conn.execute("select * from nowhere")


MOODY = Moody(name="moody", shape=shape("word"), scope="room:write")
LONG = Kind(name="l" * 63, shape=shape("word"), scope="room:write")


def spoiled(runtime: Runtime, spoiler: Sequence[Draft], *, atomic: bool = False) -> Any:
    """Send `spoiler` between two sales, all in one batch; return its future once the sales are posted."""
    ledger = runtime.ledger()
    with one_batch(runtime):
        (before,) = ledger.submit([sale("before")], Ask(actor=ME))
        future = None
        try:
            (asked,) = ledger.submit(spoiler, Ask(actor=ME), atomic=atomic)
            future = asked.future
        except InvalidInput:
            pass
        (after,) = ledger.submit([sale("after")], Ask(actor=ME))
    for neighbour in (before, after):
        assert len(neighbour.future.result(30).posted) == 1
    assert ledger.fault is None
    return future
