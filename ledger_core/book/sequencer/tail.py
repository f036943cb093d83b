"""The unsigned tail: what is durable and waits for its signature, and the thread that obtains it.

Invariants: nobody is told "posted" before the checkpoint is stored; the tail is bounded in records and in age, and past
the bound `await_room` keeps further batches out. While the proxy is away the thread goes on asking.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine

from ledger_core.book.posting.requests import Request
from ledger_core.book.sequencer.answers import Answers, Waiting
from ledger_core.book.sequencer.link import LOST, Link
from ledger_core.book.sequencer.notary import Notary, head_sizes
from ledger_core.book.sequencer.pace import Pace
from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.ports import SequencerObserver

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
LOOK_SECONDS = 5.0
"""How often an idle thread looks whether a tail waits that somebody left, killed before its signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailLimits:
    """How far the log may run ahead of its signature."""

    max_seconds: float
    max_records: int
    pause_seconds: float
    """Between two signatures, where many post."""


class Tail:
    """One book's unsigned tail in this process. Its thread runs `run`; everything else may come from any thread."""

    def __init__(
        self,
        *,
        engine: Engine,
        book: str,
        notary: Notary,
        limits: TailLimits,
        changed: threading.Condition,
        stop: Callable[[BaseException], CounterfoilError],
    ) -> None:
        self.observer: SequencerObserver | None = None
        self._engine = engine
        self._book = book
        self._notary = notary
        self._limits = limits
        self._changed = changed
        self._stop = stop
        self._answers = Answers(engine, book)
        self._waiting: deque[Waiting] = deque()
        self._unsigned: deque[tuple[int, float]] = deque()
        """(size, when it became durable) of our batches that no stored checkpoint covers."""
        self._durable_size = 0
        self._signed_size = 0
        self._pace = Pace(min(limits.pause_seconds, limits.max_seconds / 2))
        self._hurry = threading.Event()
        """Set when a signature must not wait for others to share it."""
        self._asked = False
        self._closing = False
        self._stopped = False

    @property
    def durable_size(self) -> int:
        """The largest size that this process made or saw durable."""
        return self._durable_size

    def add(self, size: int, signed_size: int, waiting: Sequence[Waiting], *, appended: bool) -> None:
        """Take over a batch that became durable at `size`, and who waits for its signature."""
        with self._changed:
            self._durable_size = max(self._durable_size, size)
            self._signed_size = max(self._signed_size, signed_size)
            if appended:
                self._unsigned.append((size, time.monotonic()))
            self._waiting.extend(waiting)
            self._pace.posted(len(waiting))
            self._changed.notify_all()

    def ask(self) -> None:
        """Have whatever is durable signed, also if another process wrote it; returns at once."""
        with self._changed:
            self._asked = True
            self._hurry.set()
            self._changed.notify_all()

    def await_room(self, records: int) -> None:
        """Wait until `records` more fit into the tail. Raises `DependencyError` when signatures stay away."""
        with self._changed:
            while self._unsigned and not self._stopped:
                age = time.monotonic() - self._unsigned[0][1]
                if age > self._limits.max_seconds:
                    raise signer_away(f"the oldest unsigned record waits for {age:.1f} s")
                tail = self._durable_size - self._signed_size
                if tail + records <= max(self._limits.max_records, records):
                    return
                self._hurry.set()
                self._changed.wait(self._limits.max_seconds - age + 0.01)

    def check_foreign(self, size: int, signed_size: int) -> None:
        """Raise `DependencyError` when the head shows a longer unsigned tail than is allowed, whoever wrote it."""
        if size - signed_size > self._limits.max_records:
            self.ask()
            raise signer_away(f"{size - signed_size:,} records wait for their signature")

    def close(self) -> None:
        """End the thread once nothing waits any more."""
        with self._changed:
            self._closing = True
            self._hurry.set()
            self._changed.notify_all()

    def drain(self) -> list[Request]:
        """Stop, and return the requests that still waited."""
        with self._changed:
            self._stopped = True
            requests = [waiting.outcome.request for waiting in self._waiting]
            self._waiting.clear()
            self._hurry.set()
            self._changed.notify_all()
            return requests

    def run(self) -> None:
        """Sign, store, answer; until closed or stopped."""
        link = Link(self._engine)
        failures = 0
        try:
            while self._await_work() and self._await_others():
                try:
                    self._sign(link.open())
                    failures = 0
                except LOST:
                    link.close()
                    failures += 1
                except DependencyError:
                    if self.observer is not None:
                        self.observer.signature_failed()
                    failures += 1
                except CounterfoilError as error:
                    self._stop(error)
                    return
                if failures:
                    self._pause(RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1])
        except BaseException as error:
            self._stop(error)
            raise
        finally:
            self._notary.close()
            link.close()

    def _await_work(self) -> bool:
        with self._changed:
            while not (self._unsigned or self._waiting or self._asked or self._stopped):
                if self._closing:
                    return False
                if not self._changed.wait(LOOK_SECONDS):
                    self._asked = True
            return not self._stopped

    def _await_others(self) -> bool:
        """Let others share the next signature, where enough come: without a wake-up for each; False once stopped."""
        with self._changed:
            seconds = self._pace.wait_seconds()
        if seconds:
            self._hurry.wait(seconds)
        with self._changed:
            self._pace.asked()
            if not (self._closing or self._stopped):
                self._hurry.clear()
            return not self._stopped

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if not self._stopped:
                self._changed.wait(seconds)

    def _sign(self, conn: Connection[Any]) -> None:
        with self._changed:
            target = max(
                self._unsigned[-1][0] if self._unsigned else 0,
                max((waiting.outcome.awaits for waiting in self._waiting), default=0),
            )
            asked, self._asked = self._asked, False
            signed_size = self._signed_size
        signed = stored = None
        started = time.monotonic()
        try:
            if asked:
                size, stored_size = head_sizes(conn, self._book)
                target, signed_size = max(target, size), max(signed_size, stored_size)
            if target > signed_size:
                signed, stored = self._notary.sign_and_store(conn, target)
        except BaseException:
            # What was asked for is still owed: a tail that another process left would wait for the next post.
            with self._changed:
                self._asked = self._asked or asked
            raise
        if signed is not None and stored is not None:
            signed_size = max(signed.size, stored.signed_before)
            if self.observer is not None:
                self.observer.checkpoint_signed(time.monotonic() - started)
        with self._changed:
            self._signed_size = max(self._signed_size, signed_size)
            while self._unsigned and self._unsigned[0][0] <= signed_size:
                self._unsigned.popleft()
            ready = [waiting for waiting in self._waiting if waiting.outcome.awaits <= signed_size]
            self._waiting = deque(waiting for waiting in self._waiting if waiting.outcome.awaits > signed_size)
            if signed is not None:
                self._pace.answered(len(ready))
            self._changed.notify_all()
        try:
            self._answers.give(conn, ready, signed, stored)
        except BaseException:
            # Whoever has no answer yet is asked for again, or told why there is none.
            with self._changed:
                self._waiting.extendleft(waiting for waiting in ready if not waiting.outcome.request.future.done())
            raise


def signer_away(why: str) -> DependencyError:
    """Say that nothing is sequenced because signatures do not come."""
    return DependencyError(
        f"nothing is posted while the signing proxy is away: {why}.",
        remedy="Send it again; nothing of it was kept.",
    )
