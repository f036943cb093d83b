"""Requests as the sequencer queues them: one caller's items, the unit of idempotency and of atomic groups."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ledger_core.kinds import Prepared
from ledger_core.ports import Answer, Posted


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One caller's items, in order, of one kind or several.

    `durable` is set once transaction 1 committed; `future` yields the answer once the signature is stored.
    """

    items: Sequence[Prepared]
    route: str
    atomic: bool = False
    key: str | None = None
    fingerprint: bytes | None = None
    wait: bool = True
    future: Future[Answer] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)
    bytes: int = 0
    durable: bool = False
    posted: list[Posted] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Records that this request may append, at least one."""
        return max(1, len(self.items))
