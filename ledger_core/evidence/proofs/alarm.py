"""What a failed verification leaves behind beside its answer: a record in the log, and a line that somebody reads.

Whoever may read may ask, as often as it likes and in as many ways as there are ranges: a record an answer would let a
reader fill the log. So a minute takes one record, with what was found first; the rest of the minute is counted by
`SecurityEvents` and recorded as one more when it is over. A log that is broken may not take the record at all: then it
waits there too, and the answer says so.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.book.security_events import FAILED
from ledger_core.errors import CannotRun, InFlight, IntegrityError, KeyReused
from ledger_core.log.findings import Failure, VerificationReport
from ledger_core.ports import Ask, RecordDraft

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

EVENT_FAILURES = 10
"""Failures that a `security_event` record lists; the rest is counted."""

_log = logging.getLogger("counterfoil.security")


def raise_alarm(
    runtime: Runtime, book: str, selector: dict[str, Any], report: VerificationReport, actor: Actor | None
) -> dict[str, Any]:
    """Append a `security_event`, or have it counted where this minute has one; return what became of it."""
    first = _without_values(report.failures[0]) if report.failures else {"verdict": report.verdict}
    said = ", ".join(f"{name} {value}" for name, value in first.items())
    _log.error("a verification of book %s failed: %s", book, said)
    body = {
        "event": FAILED,
        "failures": [_without_values(failure) for failure in report.failures[:EVENT_FAILURES]],
        "failures_total": len(report.failures) + report.suppressed,
        "selector_sha256": sha256(json.dumps(selector, sort_keys=True).encode()).hexdigest(),
    }
    minute = runtime.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    ask = Ask(actor=actor or Actor(subject=runtime.settings.actor), key=f"verification/{minute}")
    subject = runtime.settings.origin_of(book)
    try:
        answer = runtime.ledger(book).append([RecordDraft(kind="security_event", body=body)], ask, atomic=True)
    except (KeyReused, InFlight):
        runtime.security.keep(book, FAILED, subject, "again", said)
        return {"recorded": False, "reason": f"counted with the others of {minute}"}
    except (CannotRun, IntegrityError) as error:
        runtime.security.keep(book, FAILED, subject, "not_recorded", said)
        return {"recorded": False, "reason": str(error)}
    if answer.replayed:
        # The first one is a record with all that was found; how often it was found again is counted.
        runtime.security.keep(book, FAILED, subject, "again", said)
    return {"recorded": True, "seq": answer.only.seq}


def _without_values(failure: Failure) -> dict[str, Any]:
    """Return what failed and where. Details show stored values: an altered one may be what no record may hold."""
    return {"verdict": failure.verdict, "seq": failure.seq, "where": failure.where}
