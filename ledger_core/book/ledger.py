"""The posting library: one book, from drafts to signed answers, in this process.

A facade: shapes requests, hands them to the sequencer, waits. Judgement is in `posting.decide`, durability
and signatures in the sequencer. Fulfils `ledger_core.ports.LedgerPort`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.book.opening import LedgerParts, open_book
from ledger_core.book.posting.dry_run import dry_run
from ledger_core.book.posting.idempotency import check_key
from ledger_core.book.posting.items import (
    AccountItem,
    EntryItem,
    QueuedItem,
    Request,
    prepare_entry,
    prepare_record,
)
from ledger_core.book.sequencer.answers import chained_tree, stored_tree
from ledger_core.book.sequencer.notary import Notary
from ledger_core.book.sequencer.tail import TailLimits
from ledger_core.book.sequencer.threads import Sequencer
from ledger_core.errors import AlreadyReversed, CounterfoilError, DuplicateExternalId, InvalidInput, NotFound
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, entry_as_json, reversal_of
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import (
    Answer,
    AppliedAccounts,
    Declined,
    Item,
    Posted,
    SequencerObserver,
    Submission,
    Unchanged,
)
from ledger_core.reading.entries import get_entry
from ledger_core.settings import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Settings
from ledger_core.signing.port import CheckpointSigner

MAX_ENTRIES = 10_000
"""Entries of one call; more belong into several."""


class Ledger:
    """One book's posting library; every method may be called from any thread."""

    def __init__(
        self,
        *,
        engine: Engine,
        signer: CheckpointSigner,
        settings: Settings,
        book: str,
        clock: Callable[[], datetime],
    ) -> None:
        self.book = book
        self.origin = settings.origin_of(book)
        self._engine = engine
        self._wait_seconds = settings.signature_wait_seconds
        self._clock = clock
        self._sequencer = Sequencer(
            engine=engine,
            book=book,
            origin=self.origin,
            notary=Notary(book, self.origin, signer),
            limits=TailLimits(
                max_seconds=settings.unsigned_tail_max_seconds, max_records=settings.unsigned_tail_max_records
            ),
            clock=clock,
        )

    @classmethod
    def open(cls, parts: LedgerParts, book: str) -> Ledger:
        """Return the library of `book`, opening the book with its first record if it does not exist.

        A tail that another process left unsigned is sent to the signer. Raises `ConfigurationError` when the
        book belongs to another origin, `IntegrityError` when a proxy knows a book that the database lacks.
        """
        ledger = cls(
            engine=parts.engine,
            signer=parts.signer,
            settings=parts.settings,
            book=book,
            clock=parts.clock,
        )
        settings = parts.settings
        actor = Actor(subject=settings.actor, role="service")
        head = open_book(
            parts.engine,
            parts.signer,
            book=book,
            origin=ledger.origin,
            legal_entity=settings.legal_entity,
            actor=actor,
            clock=parts.clock,
        )
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

    @property
    def fault(self) -> CounterfoilError | None:
        """Return what stopped the sequencer: this process appends nothing before it is started again."""
        return self._sequencer.fault

    def post_entries(
        self,
        entries: Sequence[EntryDraft],
        *,
        actor: Actor,
        route: str = "journal-entries",
        key: str | None = None,
        fingerprint: bytes | None = None,
        atomic: bool = False,
        wait: bool = True,
    ) -> Answer:
        """Post `entries` in order and wait for the signature; each becomes `Posted` or `Declined`.

        More than 1,000 go as several batches, unless `atomic`, which 1,000 may be at most: then the first
        refusal is raised and nothing is posted. With `key`, a repetition is answered as the first time;
        `fingerprint` (32 bytes) says whether it is one, and is that of the entries by default. Raises
        `SignatureLate`, `DependencyError`, `KeyReused`, `InFlight`, `TooManyRequests`, `IntegrityError`, and
        `Refused` when atomic.
        """
        if len(entries) > MAX_ENTRIES:
            raise InvalidInput(f"{len(entries):,} entries in one call; {MAX_ENTRIES:,} are the most.")
        check_key(key)
        if key is not None and fingerprint is None:
            fingerprint = fingerprint_of(entries)
        requests = []
        for request in _requests(
            entries, actor, route=route, key=key, fingerprint=fingerprint, atomic=atomic, wait=wait
        ):
            self._sequencer.submit(request)
            requests.append(request)
        return self._joined([self._result(request) for request in requests])

    def submit_entries(
        self,
        entries: Sequence[EntryDraft],
        *,
        actor: Actor,
        route: str = "journal-entries",
        key: str | None = None,
        fingerprint: bytes | None = None,
        atomic: bool = False,
    ) -> list[Submission]:
        """Queue `entries` and return at once, a submission for each batch of them; for callers that must not block.

        Raises as `post_entries`, before any of them is queued.
        """
        if key is not None and fingerprint is None:
            fingerprint = fingerprint_of(entries)
        requests = list(
            _requests(entries, actor, route=route, key=check_key(key), fingerprint=fingerprint, atomic=atomic)
        )
        for request in requests:
            self._sequencer.submit(request)
        return [
            Submission(future=request.future, overdue=partial(self._sequencer.overdue, request)) for request in requests
        ]

    def apply_accounts(
        self, accounts: Sequence[AccountDraft], *, actor: Actor, key: str | None = None
    ) -> AppliedAccounts:
        """Bring `accounts` to what the drafts say, creating the missing ones; applying twice changes nothing.

        Up to 1,000 are all-or-nothing. Raises `Refused` for the first that cannot become so.
        """
        created = changed = unchanged = 0
        for number, start in enumerate(range(0, len(accounts), MAX_BATCH_RECORDS)):
            drafts = accounts[start : start + MAX_BATCH_RECORDS]
            items = [AccountItem(code=draft.code, actor=actor, draft=draft) for draft in drafts]
            fingerprint = sha256(canonical_bytes([_account_as_json(draft) for draft in drafts])).digest()
            route = "accounts" if number == 0 else f"accounts#{number}"
            answer = self._append(items, route=route, key=key, fingerprint=fingerprint, atomic=True)
            for item in answer.items:
                if isinstance(item, Unchanged):
                    unchanged += 1
                elif isinstance(item, Posted) and orjson.loads(item.canonical)["body"]["action"] == "created":
                    created += 1
                else:
                    changed += 1
        return AppliedAccounts(created=created, changed=changed, unchanged=unchanged)

    def open_account(self, draft: AccountDraft, *, actor: Actor, key: str | None = None) -> Answer:
        """Open one account; the item is `Unchanged` when it stands already as drafted.

        Raises `Conflict` otherwise.
        """
        item = AccountItem(code=draft.code, actor=actor, draft=draft, only_open=True)
        fingerprint = sha256(canonical_bytes(_account_as_json(draft))).digest()
        return self._append([item], route="accounts/open", key=key, fingerprint=fingerprint, atomic=True)

    def change_account(
        self,
        code: str,
        *,
        actor: Actor,
        status: str | None = None,
        overdraft: str | None = None,
        metadata: Mapping[str, str] | None = None,
        key: str | None = None,
        expected_seq: int | None = None,
    ) -> Answer:
        """Change what may change of an account; its one item is `Posted` or `Unchanged`.

        `expected_seq` is the `changed_seq` that the caller read. Raises `UnknownAccount`, `AccountNotOpen`,
        `Refused`, and `PreconditionFailed` when the account was changed since.
        """
        wanted = {
            "status": status,
            "overdraft": overdraft,
            "metadata": dict(metadata) if metadata is not None else None,
        }
        change = {name: value for name, value in wanted.items() if value is not None}
        fingerprint = sha256(canonical_bytes({"code": code, **change})).digest()
        item = AccountItem(code=code, actor=actor, change=change, expected_seq=expected_seq)
        return self._append([item], route="accounts/change", key=key, fingerprint=fingerprint, atomic=True)

    def append_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Posted:
        """Append one record of another kind than book, account and journal entry.

        Raises `Refused`, `InvalidInput`.
        """
        posted = self.answer_record(kind, body, actor=actor, key=key).items[0]
        assert isinstance(posted, Posted)
        return posted

    def answer_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Answer:
        """Append as `append_record` does, and return the whole answer: replayed or not, checkpoint, inclusion."""
        item = prepare_record(kind, body, actor)
        fingerprint = sha256(canonical_bytes({"kind": kind, "body": dict(body)})).digest()
        return self._append([item], route=f"records/{kind}", key=key, fingerprint=fingerprint, atomic=True)

    def reverse(
        self,
        entry_id: str,
        *,
        actor: Actor,
        effective_at: datetime | None = None,
        external_id: str | None = None,
        description: str | None = None,
        key: str | None = None,
    ) -> Answer:
        """Post the entry that undoes `entry_id`, effective now unless told otherwise.

        Raises `NotFound`; a second reversal is a `Declined` with `AlreadyReversed`.
        """
        with self._engine.connect() as connection:
            entry = get_entry(connection, self.book, entry_id)
        if entry is None:
            raise NotFound(f"there is no entry {entry_id} in book {self.book}.")
        draft = reversal_of(
            entry, effective_at=effective_at or self._clock(), external_id=external_id, description=description
        )
        asked = {"entry_id": entry_id, "external_id": external_id, "description": description}
        asked["effective_at"] = None if effective_at is None else entry_as_json(draft)["effective_at"]
        answer = self.post_entries(
            [draft], actor=actor, route="reversals", key=key, fingerprint=sha256(canonical_bytes(asked)).digest()
        )
        item = answer.items[0]
        if external_id is None and isinstance(item, Declined) and isinstance(item.error, DuplicateExternalId):
            error = AlreadyReversed(f"entry {entry.id} is reversed already, by {item.error.entry_id}.")
            return Answer(items=(Declined(error=error),), replayed=False, checkpoint=None, size=answer.size)
        return answer

    def dry_run(self, entry: EntryDraft) -> Declined | None:
        """Run every check that posting `entry` would run, write nothing, and return the refusal if there is one."""
        return dry_run(self._engine, self.book, entry)

    def close(self) -> None:
        """Let queued work become durable and signed, and give the connections back."""
        self._sequencer.close()

    def _append(
        self, items: Sequence[QueuedItem], *, route: str, key: str | None, fingerprint: bytes, atomic: bool
    ) -> Answer:
        request = Request(items=items, route=route, atomic=atomic, key=check_key(key), fingerprint=fingerprint)
        self._sequencer.submit(request)
        return self._result(request)

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


def fingerprint_of(entries: Sequence[EntryDraft]) -> bytes:
    """Return SHA-256 over the canonical form of `entries`: the request's identity where the caller gives none."""
    return sha256(canonical_bytes([entry_as_json(entry) for entry in entries])).digest()


def _requests(
    entries: Sequence[EntryDraft],
    actor: Actor,
    *,
    route: str,
    key: str | None,
    fingerprint: bytes | None,
    atomic: bool,
    wait: bool = True,
) -> Iterator[Request]:
    """Yield a request for each part; each is one of its own for idempotency.

    So a repetition finds the parts that were done and posts the rest.
    """
    for number, items in enumerate(_parts(entries, actor, atomic)):
        yield Request(
            items=items,
            route=route if number == 0 else f"{route}#{number}",
            atomic=atomic,
            key=key,
            fingerprint=fingerprint,
            wait=wait,
            bytes=_size(items),
        )


def _parts(entries: Sequence[EntryDraft], actor: Actor, atomic: bool) -> Iterator[list[QueuedItem]]:
    """Yield the entries, prepared, in parts of one batch each; the cuts depend on the entries alone."""
    who = canonical_bytes(actor.as_body())
    part: list[QueuedItem] = []
    size = 0
    for entry in entries:
        item = prepare_entry(entry, who)
        weight = len(item.body) if isinstance(item, EntryItem) else 0
        if part and (len(part) == MAX_BATCH_RECORDS or size + weight > MAX_BATCH_BYTES):
            if atomic:
                raise InvalidInput(
                    f"an atomic group has at most {MAX_BATCH_RECORDS:,} entries and {MAX_BATCH_BYTES:,} bytes.",
                    remedy="Split it, or post without atomic.",
                )
            yield part
            part, size = [], 0
        part.append(item)
        size += weight
    yield part


def _size(items: Sequence[QueuedItem]) -> int:
    return sum(len(item.body) for item in items if isinstance(item, EntryItem))


def _account_as_json(draft: AccountDraft) -> dict[str, Any]:
    return {
        "code": draft.code,
        "type": draft.type,
        "currency": draft.currency,
        "normal_balance": draft.normal_balance,
        "overdraft": draft.overdraft,
        "metadata": dict(draft.metadata),
    }
