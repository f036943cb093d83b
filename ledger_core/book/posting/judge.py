"""What the books allow: the judgement of one batch, in order, over what was read under the lock.

Pure: no database, no clock. Each item is judged by its kind, with the effect of the items before it. Invariants: a
refused item leaves no trace; an atomic group, of one kind or of several, is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger_core.book.posting.accounts import BookState
from ledger_core.book.posting.idempotency import StoredOutcome
from ledger_core.book.posting.requests import Request
from ledger_core.errors import CounterfoilError, KeyReused
from ledger_core.kinds import Accepted, Kind
from ledger_core.ports import Declined, Unchanged

Facts = Mapping[Kind, Any]
"""What each kind read for this batch."""


@dataclass(slots=True, kw_only=True)
class JudgedRequest:
    """What becomes of one request: its items in order, accepted or not; or a replay; or an error for the whole."""

    request: Request
    outcomes: list[Accepted | Declined | Unchanged] = field(default_factory=list)
    replay: StoredOutcome | None = None
    error: CounterfoilError | None = None


class BatchJudge:
    """The judgement of one batch, as far as it has come; changes `state` as the accepted items do."""

    def __init__(
        self,
        state: BookState,
        facts: Facts,
        outcomes: Mapping[tuple[str, str], StoredOutcome],
        first_seq: int,
        *,
        changed: Collection[tuple[str, str]] = (),
    ) -> None:
        self.book = state.book
        self.state = state
        self.seq = first_seq
        """Where the item that is being judged will stand if it is accepted."""
        self.deltas: dict[int, list[int]] = {}
        """What the batch adds to each account: [debits, credits, last seq] by account id."""
        self._facts = facts
        self._outcomes = outcomes
        self._changed = changed
        """(route, key) of requests that say other than the first in what no fingerprint covers."""

    def request(self, request: Request) -> JudgedRequest:
        """Judge one request."""
        judged = JudgedRequest(request=request)
        stored = self._outcomes.get((request.route, request.key)) if request.key is not None else None
        if stored is not None:
            if stored.fingerprint == request.fingerprint and (request.route, request.key) not in self._changed:
                judged.replay = stored
            else:
                judged.error = KeyReused(
                    "this idempotency key was used with another request.", remedy="Use a new key for a new request."
                )
            return judged
        first_seq = self.seq
        deltas = {key: list(delta) for key, delta in self.deltas.items()} if request.atomic else {}
        facts = self._facts
        for index, item in enumerate(request.items):
            try:
                kind = item.kind
                outcome = kind.judge(self, item, facts[kind])
                if type(outcome) is Accepted:
                    self.seq += 1
                judged.outcomes.append(outcome)
            except CounterfoilError as error:
                if request.atomic:
                    error.context["index"] = index
                    self._undo(judged, error, first_seq, deltas)
                    break
                judged.outcomes.append(Declined(error=error))
        return judged

    def _undo(
        self, judged: JudgedRequest, error: CounterfoilError, first_seq: int, deltas: dict[int, list[int]]
    ) -> None:
        """Take back what an atomic group did before its first refusal, and refuse all of it with that error."""
        for outcome in reversed(judged.outcomes):
            if type(outcome) is Accepted:
                kind = outcome.item.kind
                kind.undo(self, outcome, self._facts[kind])
        self.deltas = deltas
        self.seq = first_seq
        judged.outcomes = []
        judged.error = error


def read_facts(conn: Any, state: BookState, requests: Sequence[Request], before: Facts) -> dict[Kind, Any]:
    """Return what the kinds of `requests`' items need of the database; `before` are the facts of a batch in flight."""
    by_kind: dict[Kind, list[Any]] = {}
    for request in requests:
        for item in request.items:
            by_kind.setdefault(item.kind, []).append(item)
    return {kind: kind.read_facts(conn, state, items, before.get(kind)) for kind, items in by_kind.items()}
