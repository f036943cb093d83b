"""The typed client of the HTTP API, sync (`LedgerClient`) and async (`AsyncLedgerClient`).

Every state-changing call carries an `Idempotency-Key`, made here unless given, and every repetition of it carries the
same one, so that a lost acknowledgement never posts twice (`ledger_core/client/retries.py` says what is repeated). What
the ledger refuses comes as the typed errors of `ledger_core/errors.py`.

    with LedgerClient("http://127.0.0.1:8080", token=token) as ledger:
        posted = ledger.post_entry(draft)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from ledger_core.client import calls, results
from ledger_core.client.calls import Call
from ledger_core.client.retries import Common, Failure, Retries
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft
from ledger_core.journal.erasures import ErasureRequest

__all__ = ["AsyncLedgerClient", "LedgerClient", "Retries"]

T = TypeVar("T")

DEFAULT_TIMEOUT_SECONDS = 40.0
"""Longer than a post waits for its signature (`signing.wait_seconds`, 30 s)."""


class LedgerClient(Common):
    """Call the API and wait for the answer. Safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        **common: Any,
    ) -> None:
        super().__init__(base_url, **common)
        self._http = httpx2.Client(transport=transport, timeout=timeout_seconds, trust_env=False)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send `call`, again where that is safe. Raises the typed error of its last answer."""
        attempt = 0
        while True:
            attempt += 1
            try:
                judged = self._judge(call, self._http.request(**self._request(call)))
            except httpx2.TransportError as error:
                judged = self._lost(call, error)
            if not isinstance(judged, Failure):
                return judged
            self._sleep(self._pause_or_raise(attempt, judged))

    def post_entry(self, entry: EntryDraft, *, key: str | None = None) -> results.PostedEntry:
        """Post one entry and wait for its signature."""
        return self.send(calls.post_entry(entry, book=self.book, key=self._key(key)))

    def dry_run(self, entry: EntryDraft) -> None:
        """Return when the entry would be posted; raise what posting it would raise."""
        self.send(calls.dry_run(entry, book=self.book))

    def post_batch(
        self, entries: Iterable[EntryDraft], *, key: str | None = None, atomic: bool = False
    ) -> results.BatchAnswer:
        """Post up to 10,000 entries, each for itself; with `atomic` up to 1,000, all or none."""
        return self.send(calls.post_batch(entries, book=self.book, key=self._key(key), atomic=atomic))

    def reverse(
        self,
        entry_id: str,
        *,
        key: str | None = None,
        effective_at: datetime | None = None,
        external_id: str | None = None,
        description: str | None = None,
    ) -> results.PostedEntry:
        """Undo an entry by its reversal."""
        return self.send(
            calls.reverse(
                entry_id,
                book=self.book,
                key=self._key(key),
                effective_at=effective_at,
                external_id=external_id,
                description=description,
            )
        )

    def get_entry(self, entry_id: str) -> results.Entry:
        """Read one entry by its id."""
        return self.send(calls.get_entry(entry_id, book=self.book))

    def list_entries(self, *, cursor: str | None = None, **filters: object) -> results.Page[results.Entry]:
        """Read one page of entries; `filters` are those of the route."""
        return self.send(calls.list_entries(book=self.book, cursor=cursor, **filters))

    def iter_entries(self, **filters: object) -> Iterator[results.Entry]:
        """Yield every entry, page by page."""
        cursor: str | None = None
        while True:
            page = self.list_entries(cursor=cursor, **filters)
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def get_proof(self, entry_id: str) -> dict[str, Any]:
        """Read one entry's proof."""
        return self.send(calls.get_proof(entry_id, book=self.book))

    def create_account(self, draft: AccountDraft, *, key: str | None = None) -> results.Account:
        """Open an account; one that stands already and says the same is returned."""
        return self.send(calls.create_account(draft, book=self.book, key=self._key(key)))

    def change_account(self, code: str, *, if_match: str | None = None, **change: Any) -> results.Account:
        """Change `status`, `overdraft` or `metadata`; with `if_match` only the version that was read."""
        return self.send(calls.change_account(code, book=self.book, if_match=if_match, change=change))

    def get_account(self, code: str) -> results.Account:
        """Read one account."""
        return self.send(calls.get_account(code, book=self.book))

    def list_accounts(self, *, cursor: str | None = None, limit: int | None = None) -> results.Page[results.Account]:
        """Read one page of accounts."""
        return self.send(calls.list_accounts(book=self.book, cursor=cursor, limit=limit))

    def get_balance(
        self, code: str, *, effective_at: datetime | None = None, known_at: datetime | None = None
    ) -> results.AccountBalance:
        """Read a balance: as of a business time, as known at a recorded time."""
        return self.send(calls.get_balance(code, book=self.book, effective_at=effective_at, known_at=known_at))

    def get_statement(
        self, code: str, *, cursor: str | None = None, **filters: object
    ) -> results.Page[results.StatementLine]:
        """Read one page of an account's statement."""
        return self.send(calls.get_statement(code, book=self.book, cursor=cursor, **filters))

    def get_trial_balance(self, *, effective_at: datetime | None = None) -> dict[str, Any]:
        """Read the trial balance."""
        return self.send(calls.get_trial_balance(book=self.book, effective_at=effective_at))

    def verify(
        self, selector: Mapping[str, Any], *, known_checkpoint: str | None = None, deep: bool = False
    ) -> dict[str, Any]:
        """Ask for a signed bundle of proofs; a failed verification is an answer, not an error."""
        return self.send(calls.verify(selector, book=self.book, known_checkpoint=known_checkpoint, deep=deep))

    def latest_checkpoint(self) -> results.Checkpoint:
        """Read the newest signed checkpoint."""
        return self.send(calls.latest_checkpoint(book=self.book))

    def consistency(self, from_size: int, to_size: int) -> dict[str, Any]:
        """Read the proof that one size of the log is a prefix of another."""
        return self.send(calls.consistency(from_size, to_size, book=self.book))

    def keys(self) -> list[dict[str, Any]]:
        """Read the key registry."""
        return self.send(calls.keys())

    def append_record(self, kind: str, body: Mapping[str, Any], *, key: str | None = None) -> results.PostedRecord:
        """Append a record of another kind than a journal entry."""
        return self.send(calls.append_record(kind, body, book=self.book, key=self._key(key)))

    def erase(self, request: ErasureRequest, *, key: str | None = None) -> results.Erased:
        """Erase private values of entries, and files; what is erased already stays as it is."""
        return self.send(calls.erase(request, book=self.book, key=self._key(key)))


class AsyncLedgerClient(Common):
    """The same calls, awaited; one client for one event loop."""

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **common: Any,
    ) -> None:
        super().__init__(base_url, **common)
        self._http = httpx2.AsyncClient(transport=transport, timeout=timeout_seconds, trust_env=False)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send `call`, again where that is safe. Raises the typed error of its last answer."""
        attempt = 0
        while True:
            attempt += 1
            try:
                judged = self._judge(call, await self._http.request(**self._request(call)))
            except httpx2.TransportError as error:
                judged = self._lost(call, error)
            if not isinstance(judged, Failure):
                return judged
            await self._sleep(self._pause_or_raise(attempt, judged))

    async def post_entry(self, entry: EntryDraft, *, key: str | None = None) -> results.PostedEntry:
        """Post one entry and wait for its signature."""
        return await self.send(calls.post_entry(entry, book=self.book, key=self._key(key)))

    async def dry_run(self, entry: EntryDraft) -> None:
        """Return when the entry would be posted; raise what posting it would raise."""
        await self.send(calls.dry_run(entry, book=self.book))

    async def post_batch(
        self, entries: Iterable[EntryDraft], *, key: str | None = None, atomic: bool = False
    ) -> results.BatchAnswer:
        """Post up to 10,000 entries, each for itself; with `atomic` up to 1,000, all or none."""
        return await self.send(calls.post_batch(entries, book=self.book, key=self._key(key), atomic=atomic))

    async def reverse(
        self,
        entry_id: str,
        *,
        key: str | None = None,
        effective_at: datetime | None = None,
        external_id: str | None = None,
        description: str | None = None,
    ) -> results.PostedEntry:
        """Undo an entry by its reversal."""
        return await self.send(
            calls.reverse(
                entry_id,
                book=self.book,
                key=self._key(key),
                effective_at=effective_at,
                external_id=external_id,
                description=description,
            )
        )

    async def get_entry(self, entry_id: str) -> results.Entry:
        """Read one entry by its id."""
        return await self.send(calls.get_entry(entry_id, book=self.book))

    async def list_entries(self, *, cursor: str | None = None, **filters: object) -> results.Page[results.Entry]:
        """Read one page of entries; `filters` are those of the route."""
        return await self.send(calls.list_entries(book=self.book, cursor=cursor, **filters))

    async def iter_entries(self, **filters: object) -> AsyncIterator[results.Entry]:
        """Yield every entry, page by page."""
        cursor: str | None = None
        while True:
            page = await self.list_entries(cursor=cursor, **filters)
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def get_proof(self, entry_id: str) -> dict[str, Any]:
        """Read one entry's proof."""
        return await self.send(calls.get_proof(entry_id, book=self.book))

    async def create_account(self, draft: AccountDraft, *, key: str | None = None) -> results.Account:
        """Open an account; one that stands already and says the same is returned."""
        return await self.send(calls.create_account(draft, book=self.book, key=self._key(key)))

    async def change_account(self, code: str, *, if_match: str | None = None, **change: Any) -> results.Account:
        """Change `status`, `overdraft` or `metadata`; with `if_match` only the version that was read."""
        return await self.send(calls.change_account(code, book=self.book, if_match=if_match, change=change))

    async def get_account(self, code: str) -> results.Account:
        """Read one account."""
        return await self.send(calls.get_account(code, book=self.book))

    async def list_accounts(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> results.Page[results.Account]:
        """Read one page of accounts."""
        return await self.send(calls.list_accounts(book=self.book, cursor=cursor, limit=limit))

    async def get_balance(
        self, code: str, *, effective_at: datetime | None = None, known_at: datetime | None = None
    ) -> results.AccountBalance:
        """Read a balance: as of a business time, as known at a recorded time."""
        return await self.send(calls.get_balance(code, book=self.book, effective_at=effective_at, known_at=known_at))

    async def get_statement(
        self, code: str, *, cursor: str | None = None, **filters: object
    ) -> results.Page[results.StatementLine]:
        """Read one page of an account's statement."""
        return await self.send(calls.get_statement(code, book=self.book, cursor=cursor, **filters))

    async def get_trial_balance(self, *, effective_at: datetime | None = None) -> dict[str, Any]:
        """Read the trial balance."""
        return await self.send(calls.get_trial_balance(book=self.book, effective_at=effective_at))

    async def verify(
        self, selector: Mapping[str, Any], *, known_checkpoint: str | None = None, deep: bool = False
    ) -> dict[str, Any]:
        """Ask for a signed bundle of proofs; a failed verification is an answer, not an error."""
        return await self.send(calls.verify(selector, book=self.book, known_checkpoint=known_checkpoint, deep=deep))

    async def latest_checkpoint(self) -> results.Checkpoint:
        """Read the newest signed checkpoint."""
        return await self.send(calls.latest_checkpoint(book=self.book))

    async def consistency(self, from_size: int, to_size: int) -> dict[str, Any]:
        """Read the proof that one size of the log is a prefix of another."""
        return await self.send(calls.consistency(from_size, to_size, book=self.book))

    async def keys(self) -> list[dict[str, Any]]:
        """Read the key registry."""
        return await self.send(calls.keys())

    async def append_record(
        self, kind: str, body: Mapping[str, Any], *, key: str | None = None
    ) -> results.PostedRecord:
        """Append a record of another kind than a journal entry."""
        return await self.send(calls.append_record(kind, body, book=self.book, key=self._key(key)))

    async def erase(self, request: ErasureRequest, *, key: str | None = None) -> results.Erased:
        """Erase private values of entries, and files; what is erased already stays as it is."""
        return await self.send(calls.erase(request, book=self.book, key=self._key(key)))
