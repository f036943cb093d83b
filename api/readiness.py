"""Is everything there that a post needs? Asked by `/readyz`, and by `/metrics` for the state of the log.

Each dependency is really asked: the database for the head of the book, the signing proxy for a signature. The proxy's
answer is remembered for a moment, because whoever can reach `/readyz` must not be able to keep a key busy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from api.schemas.log import Dependency, Missing
from api.state import ApiState
from ledger_core.errors import CounterfoilError, NotFound
from ledger_core.reading.heads import read_head

SIGNER_ANSWER_KEPT_SECONDS = 2.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What is missing, or the state of the book."""

    missing: list[Missing] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)

    def lacks(self, dependency: Dependency, detail: str) -> None:
        """Keep one reason why the answer is no."""
        self.missing.append(Missing(dependency=dependency, detail=detail))


def examine(state: ApiState) -> Report:
    """Ask every dependency."""
    report = Report()
    book = state.settings.book
    try:
        with state.reading() as connection:
            head = read_head(connection, book)
    except NotFound:
        report.lacks("book", f"there is no book {book}")
    except SQLAlchemyError:
        report.lacks("database", "does not answer")
    else:
        report.document = {
            "status": "ready",
            "book": book,
            "size": head.size,
            "signed_size": head.signed_size,
        }
        tail = head.size - head.signed_size
        if tail > state.settings.ledger.unsigned_tail_max_records:
            report.lacks("signatures", f"{tail:,} records are durable and not signed")
    for name, ledger in state.ledgers.items():
        if ledger.fault is not None:
            report.lacks("sequencer", f"book {name}: {ledger.fault.message}")
    fault = _signer_fault(state)
    if fault is not None:
        report.lacks("signer", fault)
    return report


def update_log_gauges(state: ApiState) -> None:
    """Read the heads of the open books; a database that is away leaves the last values."""
    for book in list(state.ledgers):
        try:
            with state.reading() as connection:
                head = read_head(connection, book)
        except (SQLAlchemyError, CounterfoilError):
            continue
        state.metrics.log_size.labels(book).set(head.size)
        state.metrics.unsigned_tail.labels(book).set(head.size - head.signed_size)


def _signer_fault(state: ApiState) -> str | None:
    asked_at, fault = state.signer_answer
    if time.monotonic() - asked_at < SIGNER_ANSWER_KEPT_SECONDS:
        return fault
    assert state.runtime is not None
    try:
        state.runtime.signer.health()
        fault = None
    except CounterfoilError as error:
        fault = error.message
    state.signer_answer = (time.monotonic(), fault)
    return fault
