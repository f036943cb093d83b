"""The same ledger behind HTTP: for a command line or a pipeline that has no right to write the database.

Used when `COUNTERFOIL_LEDGER_URL` is set. What comes back are the API's words; the canonical bytes stay with the
ledger, so `Posted.canonical` is empty here, and proofs are asked for by their own route.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ledger_core.client import LedgerClient
from ledger_core.client.results import Account, Entry, PostedRecord
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, InvalidInput, NotFound, Refused
from ledger_core.journal.accounts import AccountChange, AccountDraft, AccountOpening
from ledger_core.journal.entries import EntryDraft
from ledger_core.journal.erasures import ErasureDraft
from ledger_core.ports import (
    Answer,
    Applied,
    Ask,
    Declined,
    Draft,
    Item,
    Posted,
    RecordDraft,
    SequencerObserver,
    Submission,
    Unchanged,
)
from ledger_core.settings import Settings

CONCURRENT_REQUESTS = 4


class HttpLedger:
    """Fulfils `ledger_core.ports.LedgerPort` over the API; the actor is whoever the token speaks for."""

    def __init__(self, settings: Settings, book: str) -> None:
        if not settings.ledger_url or not settings.ledger_token:
            raise ConfigurationError(
                "COUNTERFOIL_LEDGER_URL is set without COUNTERFOIL_LEDGER_TOKEN.",
                remedy="Issue one where the API runs: `counterfoil token`.",
            )
        self.book = book
        self.origin = settings.origin_of(book)
        self.observer: SequencerObserver | None = None
        self.fault: CounterfoilError | None = None
        self._client = LedgerClient(settings.ledger_url, token=settings.ledger_token, book=book)
        self._pool = ThreadPoolExecutor(CONCURRENT_REQUESTS, thread_name_prefix="http-ledger")

    def append(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> Answer:
        """Append by the route of the drafts' kind; every item is answered in order, signed.

        The API has no route for a group of several kinds, and none for several records or accounts as one: accounts
        are applied one by one. Raises `InvalidInput` for what it has no route for.
        """
        if all(isinstance(draft, EntryDraft) for draft in drafts):
            return self._post([draft for draft in drafts if isinstance(draft, EntryDraft)], ask, atomic)
        if all(draft.kind == "account" for draft in drafts):
            return _answered([self._account(draft, ask.key if len(drafts) == 1 else None) for draft in drafts])
        if len(drafts) == 1 and isinstance(drafts[0], RecordDraft):
            return self._record(drafts[0], ask)
        if len(drafts) == 1 and isinstance(drafts[0], ErasureDraft):
            return self._erasure(drafts[0], ask)
        raise InvalidInput(
            "a ledger behind HTTP takes a group of one kind alone.",
            remedy="Append the group where the ledger runs, or each kind by itself.",
        )

    def submit(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> list[Submission]:
        """Append on a thread of its own."""
        return [Submission(future=self._pool.submit(self.append, drafts, ask, atomic=atomic), overdue=_unanswered)]

    def _post(self, entries: Sequence[EntryDraft], ask: Ask, atomic: bool) -> Answer:
        # The actor, the route and the fingerprint are the API's own: it knows who calls and what was sent.
        batch = self._client.post_batch(entries, key=ask.key, atomic=atomic)
        items: list[Item] = []
        for item, draft in zip(batch.items, entries, strict=True):
            if item.entry is not None:
                items.append(_posted(item.entry, draft))
            else:
                items.append(Declined(error=item.error or Refused("the ledger refused the entry without a word.")))
        size = max(batch.checkpoints, default=0)
        return Answer(items=tuple(items), replayed=batch.replayed, checkpoint=batch.checkpoints.get(size), size=size)

    def _account(self, draft: Any, key: str | None) -> Item:
        if isinstance(draft, AccountOpening):
            return self._opened(draft.account, key)
        if isinstance(draft, AccountChange):
            standing = self._client.get_account(draft.code)
            if draft.expected_seq is not None and standing.changed_seq != draft.expected_seq:
                raise Refused(
                    f"account {draft.code} was changed at {standing.changed_seq}, not at {draft.expected_seq}."
                )
            return self._changed(standing, draft.members)
        try:
            standing = self._client.get_account(draft.code)
        except NotFound:
            return self._opened(draft, key)
        if standing.draft == draft:
            return Unchanged(code=draft.code)
        if (standing.draft.type, standing.draft.currency) != (draft.type, draft.currency):
            raise InvalidInput(
                f"account {draft.code} is {standing.draft.type} in {standing.draft.currency}; neither changes.",
                remedy="Open another account.",
            )
        return self._changed(standing, {"overdraft": draft.overdraft, "metadata": dict(draft.metadata)})

    def _opened(self, draft: AccountDraft, key: str | None) -> Item:
        made = self._client.create_account(draft, key=key)
        return Applied(code=draft.code, seq=made.opened_seq, action="created")

    def _changed(self, standing: Account, members: dict[str, Any]) -> Item:
        made = self._client.change_account(standing.draft.code, if_match=standing.etag, **members)
        if made.changed_seq == standing.changed_seq:
            return Unchanged(code=made.draft.code)
        return Applied(code=made.draft.code, seq=made.changed_seq, action="changed")

    def _record(self, draft: RecordDraft, ask: Ask) -> Answer:
        made = self._client.append_record(draft.kind, draft.body, key=ask.key)
        return Answer(items=(_record(made),), replayed=made.replayed, checkpoint=made.checkpoint, size=made.seq + 1)

    def _erasure(self, draft: ErasureDraft, ask: Ask) -> Answer:
        # How long backups are kept is the API's to say: it is asked for what is erased, and why.
        erased = self._client.erase(draft, key=ask.key)
        made = erased.record
        if made is None or erased.kept_until is None:
            return _answered([Unchanged(code=draft.entries[0].entry if draft.entries else draft.files[0])])
        said = {
            "reason": draft.reason,
            "kept_until": erased.kept_until.isoformat(),
            "values": [dict(value) for value in erased.values],
            "files": [dict(file) for file in erased.files],
        }
        posted = replace(_record(made), said=said)
        return Answer(items=(posted,), replayed=made.replayed, checkpoint=made.checkpoint, size=made.seq + 1)

    def dry_run(self, draft: Draft) -> Declined | None:
        """Return what would be refused, or None; the API answers it for journal entries."""
        if not isinstance(draft, EntryDraft):
            raise InvalidInput("a ledger behind HTTP answers dry runs of journal entries alone.")
        try:
            self._client.dry_run(draft)
        except Refused as error:
            return Declined(error=error)
        return None

    def close(self) -> None:
        """End the connections."""
        self._pool.shutdown(wait=True)
        self._client.close()


def _answered(items: Sequence[Item]) -> Answer:
    return Answer(items=tuple(items), replayed=False, checkpoint=None, size=0)


def _unanswered() -> DependencyError:
    return DependencyError(
        "the ledger's API did not answer in time.", remedy="Repeat the command, or the request with its key."
    )


def _posted(entry: Entry, draft: EntryDraft) -> Posted:
    return Posted(
        id=entry.id,
        seq=entry.seq,
        kind="journal_entry",
        recorded_at=entry.recorded_at,
        leaf_hash=bytes.fromhex(entry.hash),
        canonical=b"",
        entry=draft,
    )


def _record(record: PostedRecord) -> Posted:
    return Posted(
        id=record.id,
        seq=record.seq,
        kind=record.kind,
        recorded_at=record.recorded_at,
        leaf_hash=bytes.fromhex(record.hash),
        canonical=b"",
    )
