"""The posting library: one book, from drafts to signed answers, in this process.

A facade: shapes requests, hands them to the sequencer, waits. What a draft is and whether the books allow it is its
kind's to say (`book/kinds/`), durability and signatures the sequencer's. Fulfils `ledger_core.ports.LedgerPort`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, partial

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.opening import LedgerParts, open_book
from ledger_core.book.posting.dry_run import dry_run
from ledger_core.book.posting.requests import Request
from ledger_core.book.security_events import SecurityEvents
from ledger_core.book.sequencer.answers import chained_tree, stored_tree
from ledger_core.book.sequencer.archived import Archived, newest_archived
from ledger_core.book.sequencer.notary import Notary
from ledger_core.book.sequencer.tail import TailLimits
from ledger_core.book.sequencer.threads import Sequencer
from ledger_core.book.shaping import requests_of
from ledger_core.errors import CounterfoilError
from ledger_core.log.keys import KeyRing
from ledger_core.ports import Answer, Ask, Declined, Draft, Item, SequencerObserver, Submission
from ledger_core.settings import Settings
from ledger_core.signing.pinned import resolve_pinned
from ledger_core.signing.port import CheckpointSigner


class Ledger:
    """One book's posting library; every method may be called from any thread."""

    def __init__(
        self,
        *,
        engine: Engine,
        signer: CheckpointSigner,
        settings: Settings,
        book: str,
        kinds: Kinds,
        clock: Callable[[], datetime],
        archive: Archived | None = None,
    ) -> None:
        self.book = book
        self.origin = settings.origin_of(book)
        self._engine = engine
        self._wait_seconds = settings.signing.wait_seconds
        self._kinds = kinds
        self._security: SecurityEvents | None = None
        self._sequencer = Sequencer(
            engine=engine,
            book=book,
            origin=self.origin,
            notary=Notary(book, self.origin, signer, archive),
            limits=TailLimits(
                max_seconds=settings.ledger.unsigned_tail_max_seconds,
                max_records=settings.ledger.unsigned_tail_max_records,
                pause_seconds=settings.signing.pause_seconds,
            ),
            clock=clock,
            durable=settings.env != "test",
        )

    @classmethod
    def open(cls, parts: LedgerParts, book: str) -> Ledger:
        """Return the library of `book`, opening the book with its first record if it does not exist.

        A tail that another process left unsigned is sent to the signer. A book that is behind what was signed of it is
        opened for its readers: whoever appends is told (`fault`). Raises `ConfigurationError` when the book belongs to
        another origin, `LedgerBehind` when proxy or archive know a book that the database lacks.
        """
        origin = parts.settings.origin_of(book)
        # Asked once a process: it only ever grows, and a bucket is listed for it.
        archive = cache(partial(newest_archived, parts.settings, origin, partial(_keys, parts, origin)))
        ledger = cls(
            engine=parts.engine,
            signer=parts.signer,
            settings=parts.settings,
            book=book,
            kinds=parts.kinds,
            clock=parts.clock,
            archive=archive,
        )
        settings = parts.settings
        actor = Actor(subject=settings.actor, role="service")
        head = open_book(
            parts.engine,
            parts.signer,
            book=book,
            origin=ledger.origin,
            legal_entity=settings.ledger.legal_entity,
            actor=actor,
            clock=parts.clock,
            archive=archive,
        )
        ledger._sequencer.compare()
        if head.signed_size < head.size:
            ledger._sequencer.sign_tail()
        return ledger

    @property
    def observer(self) -> SequencerObserver | None:
        """Who measures the sequencer."""
        return self._sequencer.observer

    @observer.setter
    def observer(self, observer: SequencerObserver | None) -> None:
        self._sequencer.observer = observer

    def report_to(self, security: SecurityEvents) -> None:
        """Have what should not happen kept in `security`, and recorded in this book with what is posted next."""
        self._security = security
        self._sequencer.on_fault = lambda error: security.stopped(self.book, self.origin, error)
        if self.fault is not None:
            security.stopped(self.book, self.origin, self.fault)
        security.flush(self)

    @property
    def clock_ahead_seconds(self) -> float:
        """Return how far this process' clock was ahead of the database's at the last batch, negative behind it."""
        return self._sequencer.clock_ahead_seconds

    @property
    def fault(self) -> CounterfoilError | None:
        """Return what stopped the sequencer: this process appends nothing before it is started again."""
        return self._sequencer.fault

    def append(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> Answer:
        """Append `drafts`, of one kind or several, in order and wait for the signature; each becomes an item.

        More than 1,000 go as several batches, unless `atomic`, which 1,000 may be at most: then the first
        refusal is raised and nothing is appended. With `ask.key`, a repetition is answered as the first time.
        Raises `SignatureLate`, `DependencyError`, `KeyReused`, `InFlight`, `TooManyRequests`, `IntegrityError`, and
        `Refused` or `InvalidInput` when atomic.
        """
        self._report()
        requests = []
        for request in requests_of(self._kinds, drafts, ask, atomic=atomic):
            self._sequencer.submit(request)
            requests.append(request)
        return self._joined([self._result(request) for request in requests])

    def submit(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> list[Submission]:
        """Queue `drafts` and return at once, a submission for each batch of them; for callers that must not block.

        Raises as `append`, before any of them is queued.
        """
        self._report()
        requests = list(requests_of(self._kinds, drafts, ask, atomic=atomic))
        for request in requests:
            self._sequencer.submit(request)
        return [
            Submission(future=request.future, overdue=partial(self._sequencer.overdue, request)) for request in requests
        ]

    def dry_run(self, draft: Draft) -> Declined | None:
        """Run every check that appending `draft` would run, write nothing, and return the refusal if there is one."""
        return dry_run(self._engine, self.book, self._kinds.of(draft), draft)

    def close(self) -> None:
        """Let queued work become durable and signed, and give the connections back."""
        self._sequencer.close()

    def _report(self) -> None:
        if self._security is not None:
            self._security.flush(self)

    def _joined(self, answers: Sequence[Answer]) -> Answer:
        """Return several parts' answers as one; the largest checkpoint covers them all."""
        if len(answers) == 1:
            return answers[0]
        items: tuple[Item, ...] = tuple(item for answer in answers for item in answer.items)
        signed = [answer for answer in answers if answer.checkpoint is not None]
        last = max(signed or answers, key=lambda answer: answer.size)
        known = [answer.tree for answer in signed if answer.tree is not None]
        return Answer(
            items=items,
            replayed=all(answer.replayed for answer in answers),
            checkpoint=last.checkpoint,
            size=last.size,
            tree=chained_tree(known, stored_tree(self._engine, self.book, last.size)) if signed else None,
        )

    def _result(self, request: Request) -> Answer:
        try:
            return request.future.result(self._wait_seconds)
        except concurrent.futures.TimeoutError:
            raise self._sequencer.overdue(request) from None


def _keys(parts: LedgerParts, origin: str) -> KeyRing:
    """Return the keys that the pinned roots vouch for, of those that the signing proxy publishes."""
    return resolve_pinned(parts.settings.home / "trust.json", origin, parts.signer.keys())
