"""The one way into a book's log: whatever waits is made durable as one batch, then signed, then answered.

Three threads a book and process. The writer takes what waits as soon as the last batch is durable (no timer) and runs
transaction 1. The signer obtains one checkpoint for everything durable and runs transaction 2 (`sequencer.tail`), so
batch k+1 becomes durable while batch k is being signed. Under load the planner works out batch k+1 while batch k is
being copied: its plan is used if the head, once locked, stands exactly where the plan assumed, and is made anew
otherwise. Several processes may do all this at once: the head row arbitrates.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

import psycopg
from sqlalchemy import Engine

from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.holder import head_held
from ledger_core.book.posting.plan import PlannedBatch
from ledger_core.book.posting.requests import Request
from ledger_core.book.posting.writer import BatchWriter
from ledger_core.book.sequencer.answers import Waiting, unsigned_answer
from ledger_core.book.sequencer.checkpoints import behind_signature
from ledger_core.book.sequencer.interpreter import tune_interpreter
from ledger_core.book.sequencer.link import LOST, Link, database_away
from ledger_core.book.sequencer.notary import Notary
from ledger_core.book.sequencer.queue import RequestQueue
from ledger_core.book.sequencer.tail import Tail, TailLimits
from ledger_core.errors import (
    CannotRun,
    ConfigurationError,
    CounterfoilError,
    DependencyError,
    IntegrityError,
    LedgerBehind,
    SignatureLate,
)
from ledger_core.ports import SequencerObserver

CLOSE_SECONDS = 10.0
REPEAT = "Repeat the command, or the request with its key."

_log = logging.getLogger("counterfoil.sequencer")


class Sequencer:
    """Appends to one book from this process. Threads start with the first request."""

    def __init__(
        self,
        *,
        engine: Engine,
        book: str,
        origin: str,
        notary: Notary,
        limits: TailLimits,
        clock: Callable[[], datetime],
        durable: bool = True,
    ) -> None:
        self.book = book
        self.origin = origin
        self._engine = engine
        self._notary = notary
        self._writer = BatchWriter(book, clock=clock, durable=durable)
        self._changed = threading.Condition()
        self._queue = RequestQueue(self._changed)
        self._tail = Tail(
            engine=engine, book=book, notary=notary, limits=limits, changed=self._changed, stop=self._stop_with
        )
        self.on_fault: Callable[[CounterfoilError], None] | None = None
        """Who is told why this book takes nothing more here, before its callers are. Must not raise."""
        self._recovered = False
        self._threads: list[threading.Thread] = []
        self._tip: PlannedBatch | None = None
        """The batch that is being copied under the lock: what the planner may build on."""
        self._planning = False
        self._ahead: tuple[list[Request], PlannedBatch | None] | None = None

    @property
    def observer(self) -> SequencerObserver | None:
        """Who measures."""
        return self._tail.observer

    @observer.setter
    def observer(self, observer: SequencerObserver | None) -> None:
        self._tail.observer = observer

    @property
    def clock_ahead_seconds(self) -> float:
        """Return how far this process' clock was ahead of the database's at the last batch, negative behind it."""
        return self._writer.clock_ahead_seconds

    @property
    def fault(self) -> CounterfoilError | None:
        """Return what stopped this book for good, if anything did."""
        return self._queue.failure

    def submit(self, request: Request) -> None:
        """Queue `request`; its future yields the answer. Raises as `RequestQueue.put`."""
        self._queue.put(request)
        self._start()

    def sign_tail(self) -> None:
        """Have whatever is durable signed, also if nobody here wrote it; returns at once."""
        self._tail.ask()
        self._start()

    def compare(self) -> None:
        """Hold the book against what was signed and archived of it before anybody asks for a write.

        One that is behind is stopped at once, so that probes say so before a caller is turned away. Everything else is
        for the first write, which asks again: a proxy that is away may be back by then.
        """
        link = Link(self._engine)
        try:
            self._notary.compare(link.open())
        except LedgerBehind as error:
            self._stop_with(error)
        except (CounterfoilError, *LOST) as error:
            _log.info("book %s is compared by its first write: %s", self.book, error)
        finally:
            self._notary.close()
            link.close()

    def overdue(self, request: Request) -> DependencyError:
        """Say to a caller who stopped waiting for `request` how far it came."""
        if request.durable:
            return SignatureLate(
                "the records are durable and their signature has not arrived.",
                remedy="Repeat the command, or the request with its key: it waits for the same records.",
            )
        return DependencyError("the ledger did not get to this request in time.", remedy=REPEAT)

    def close(self) -> None:
        """Let what is queued become durable and signed, for at most ten seconds, and stop."""
        with self._changed:
            self._queue.closing = True
            self._changed.notify_all()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            if thread.name.startswith("sequencer-signer"):
                self._tail.close()
            thread.join(max(0.0, deadline - time.monotonic()))
        self._refuse_everyone(DependencyError("the ledger was closed.", remedy=REPEAT))

    def _start(self) -> None:
        with self._changed:
            if self._threads:
                return
            tune_interpreter()
            for name, body in (
                ("writer", self._write_loop),
                ("planner", self._plan_loop),
                ("signer", self._tail.run),
            ):
                thread = threading.Thread(target=body, name=f"sequencer-{name}-{self.book}", daemon=True)
                self._threads.append(thread)
                thread.start()

    # The writer's thread.

    def _write_loop(self) -> None:
        link = Link(self._engine)
        requests: list[Request] = []
        try:
            while True:
                requests, planned = self._next()
                if not requests:
                    return
                self._write(link, requests, planned)
        except BaseException as error:
            self._refuse(requests, self._stop_with(error))
            raise
        finally:
            self._notary.close()
            link.close()

    def _next(self) -> tuple[list[Request], PlannedBatch | None]:
        """Wait for the next batch, planned or not; no requests means the end."""
        with self._changed:
            self._tip = None
            while True:
                if self._ahead is not None and not self._planning:
                    ahead, self._ahead = self._ahead, None
                    return ahead
                if not self._planning:
                    if not self._queue.empty:
                        return self._queue.take(), None
                    if self._queue.closing or self._queue.failure is not None:
                        return [], None
                self._changed.wait()

    def _write(self, link: Link, requests: list[Request], planned: PlannedBatch | None) -> None:
        started = time.monotonic()
        try:
            self._tail.await_room(sum(request.weight for request in requests))
            conn = link.open()
            if not self._recovered:
                self._notary.recover(conn)
                self._recovered = True
            batch = self._writer.write(conn, requests, planned=planned, admit=self._admit, locked=self._publish)
        except LOST as error:
            link.close()
            self._forget_plans()
            if isinstance(error, psycopg.errors.ProgramLimitExceeded):
                # The server's limit on one row, not its absence: it would be met again, by that row alone.
                self._isolate(link, requests, error)
            elif isinstance(error, psycopg.errors.LockNotAvailable):
                self._refuse(requests, head_held(self._engine, self.book))
            else:
                # Lost at the commit, they may be durable all the same: then nobody else would have them signed.
                self._tail.ask()
                self._refuse(requests, database_away(error))
        except psycopg.Error as error:
            link.close()
            self._forget_plans()
            self._isolate(link, requests, error)
        except (IntegrityError, CannotRun) as error:
            self._forget_plans()
            if isinstance(error, IntegrityError | ConfigurationError):
                self._stop_with(error)
            self._refuse(requests, error)
        except CounterfoilError as error:
            # A kind that refused what it read or wrote and not an item that it judged: its neighbours stand.
            self._forget_plans()
            self._isolate(link, requests, error)
        else:
            self._became_durable(batch, time.monotonic() - started)

    def _isolate(self, link: Link, requests: list[Request], error: psycopg.Error | CounterfoilError) -> None:
        """Find the request that was refused past its judgement, so that its neighbours do not fall with it."""
        if len(requests) > 1:
            for request in requests:
                self._write(link, [request], None)
            return
        if isinstance(error, CounterfoilError):
            self._refuse(requests, error)
            return
        told = IntegrityError(
            f"the database refused records that passed every check: {str(error).splitlines()[0]}",
            remedy="Run `counterfoil check`: stored rows and the log contradict each other.",
        )
        self._refuse(requests, told)

    def _admit(self, head: HeadRow) -> None:
        """Keep a batch out that the locked head forbids."""
        if head.origin != self.origin:
            raise ConfigurationError(
                f"book {self.book} belongs to the log {head.origin}, this process is set to {self.origin}.",
                remedy="Set COUNTERFOIL_DOMAIN and COUNTERFOIL_ENV as they were when the book was opened.",
            )
        if head.size < self._tail.durable_size:
            raise behind_signature(self.book, head.size, self._tail.durable_size)
        self._tail.check_foreign(head.size, head.signed_size)

    def _became_durable(self, batch: PlannedBatch, seconds: float) -> None:
        if batch.leaves:
            self._notary.add(batch.head.size, batch.leaves)
        waiting: list[Waiting] = []
        for outcome in batch.outcomes:
            request = outcome.request
            request.durable = outcome.error is None
            self._queue.release(request)
            if outcome.error is not None:
                request.future.set_exception(outcome.error)
            elif not (request.wait or outcome.replay):
                request.future.set_result(unsigned_answer(outcome, batch.size))
            elif outcome.covers == 0 and outcome.stands <= batch.head.signed_size:
                request.future.set_result(unsigned_answer(outcome, batch.head.signed_size))
            else:
                waiting.append(Waiting(outcome=outcome))
        self._tail.add(batch.size, batch.head.signed_size, waiting, appended=bool(batch.leaves))
        if self._queue.failure is not None:
            self._refuse_everyone(self._queue.failure)
        if self.observer is not None and batch.leaves:
            self.observer.batch_committed(len(batch.leaves), seconds)

    # The planner's thread.

    def _plan_loop(self) -> None:
        link = Link(self._engine)
        requests: list[Request] = []
        try:
            while (taken := self._await_plan()) is not None:
                requests, tip = taken
                planned = None
                try:
                    planned = self._writer.planner.plan_ahead(link.open(), tip, requests)
                except psycopg.Error:
                    link.close()
                except CounterfoilError:
                    # Whatever cannot be planned here is planned, or refused, by the writer under the lock.
                    self._writer.planner.forget()
                with self._changed:
                    self._ahead, requests = (requests, planned), []
                    self._planning = False
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._planning = False
            self._refuse(requests, self._stop_with(error))
            raise
        finally:
            link.close()

    def _await_plan(self) -> tuple[list[Request], PlannedBatch] | None:
        """Wait for a batch to build on and a full batch of requests; less than that may still grow."""
        with self._changed:
            while True:
                if self._queue.closing or self._queue.failure is not None:
                    return None
                if self._tip is not None and self._ahead is None and self._queue.full_batch:
                    self._planning = True
                    return self._queue.take(), self._tip
                self._changed.wait()

    def _publish(self, batch: PlannedBatch) -> None:
        """Let the planner build on `batch`, which holds the lock and is about to be copied."""
        with self._changed:
            self._tip = batch
            self._changed.notify_all()

    def _forget_plans(self) -> None:
        """Drop what was planned on top of a batch that failed; its requests stay next in line."""
        with self._changed:
            self._tip = None
            while self._planning:
                self._changed.wait()
            if self._ahead is not None:
                self._ahead = (self._ahead[0], None)
        self._writer.planner.forget()

    # Every thread.

    def _refuse(self, requests: list[Request], error: CounterfoilError) -> None:
        for request in requests:
            self._queue.release(request)
            if not request.future.done():
                request.future.set_exception(error)

    def _stop_with(self, error: BaseException) -> CounterfoilError:
        """Stop this book for good: nothing more is written by this process, and everybody waiting is told why."""
        told = (
            error
            if isinstance(error, CounterfoilError)
            else IntegrityError(f"the sequencer failed: {type(error).__name__}: {error}", remedy="Restart the process.")
        )
        if self.on_fault is not None:
            self.on_fault(told)
        self._refuse_everyone(told)
        return told

    def _refuse_everyone(self, error: CounterfoilError) -> None:
        waited = self._queue.stop(error)
        with self._changed:
            if self._ahead is not None and not self._planning:
                waited += self._ahead[0]
                self._ahead = None
        self._refuse(waited + self._tail.drain(), error)
