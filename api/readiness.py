"""Is everything there that a post needs? Asked by `/readyz`, and by `/metrics` for the state of the log.

Each dependency is really asked: the database for the head of the book, the signing proxy for a signature. The proxy's
answer is remembered for a moment, because whoever can reach `/readyz` must not be able to keep a key busy. The answer
is about one book, as a post is: a book that was stopped takes no other one with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
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


def examine(state: ApiState, book: str) -> Report:
    """Ask every dependency of a post to `book`."""
    report = Report()
    # In this order: what the proxy signed before the head is read, the head counts.
    signed_sizes, signer_fault = _signer(state)
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
            "stopped_books": sorted(name for name, other in state.ledgers.items() if other.fault is not None),
        }
        signed = signed_sizes.get(state.settings.origin_of(book), 0)
        if head.size < signed:
            report.lacks(
                "book",
                f"{book} has {head.size} records, yet a checkpoint over {signed} is signed: the database went back in "
                "time: put back what is missing (`counterfoil replay --continue`); docs/runbooks/failed-check.md, 5",
            )
        tail = head.size - head.signed_size
        if tail > state.settings.ledger.unsigned_tail_max_records:
            report.lacks("signatures", f"{tail:,} records are durable and not signed")
    ledger = state.ledgers.get(book)
    if ledger is not None and ledger.fault is not None:
        report.lacks("sequencer", f"book {book}: {ledger.fault.message}")
    if signer_fault is not None:
        report.lacks("signer", signer_fault)
    return report


LATE = Report(missing=[Missing(dependency="database", detail="the answer of the dependencies did not come in time")])
"""What is said while somebody who is asked keeps quiet."""


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


def _signer(state: ApiState) -> tuple[Mapping[str, int], str | None]:
    """Return which size of each log the proxy signed last, and what is wrong with it."""
    asked_at, sizes, fault = state.signer_answer
    if time.monotonic() - asked_at < SIGNER_ANSWER_KEPT_SECONDS:
        return sizes, fault
    assert state.runtime is not None
    try:
        sizes, fault = state.runtime.signer.health().get("signed_sizes", {}), None
    except CounterfoilError as error:
        sizes, fault = {}, error.message
    state.signer_answer = (time.monotonic(), sizes, fault)
    return sizes, fault
