"""The same ledger behind HTTP: for a command line or a pipeline that has no right to write the database.

Used when `COUNTERFOIL_LEDGER_URL` is set. What comes back are the API's words; the canonical bytes stay with the
ledger, so `Posted.canonical` is empty here, and proofs are asked for by their own route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from ledger_core.actor import Actor
from ledger_core.client import LedgerClient
from ledger_core.client.results import Entry, PostedEntry, PostedRecord
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, InvalidInput, NotFound, Refused
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft
from ledger_core.ports import Answer, AppliedAccounts, Declined, Item, Posted, SequencerObserver, Submission
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
        """Post by the batch route; every item is answered in order, signed."""
        del actor, route, fingerprint, wait  # the API's own: it knows who calls, and answers only what is signed
        batch = self._client.post_batch(entries, key=key, atomic=atomic)
        items: list[Item] = []
        for item, draft in zip(batch.items, entries, strict=True):
            if item.entry is not None:
                items.append(_posted(item.entry, draft))
            else:
                items.append(Declined(error=item.error or Refused("the ledger refused the entry without a word.")))
        size = max(batch.checkpoints, default=0)
        return Answer(items=tuple(items), replayed=batch.replayed, checkpoint=batch.checkpoints.get(size), size=size)

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
        """Post on a thread of its own."""
        future = self._pool.submit(
            self.post_entries, entries, actor=actor, route=route, key=key, fingerprint=fingerprint, atomic=atomic
        )
        return [Submission(future=future, overdue=_unanswered)]

    def apply_accounts(
        self, accounts: Sequence[AccountDraft], *, actor: Actor, key: str | None = None
    ) -> AppliedAccounts:
        """Create what is missing, change what differs; an account's currency and type never change."""
        del actor, key
        created = changed = unchanged = 0
        for draft in accounts:
            try:
                standing = self._client.get_account(draft.code)
            except NotFound:
                self._client.create_account(draft)
                created += 1
                continue
            if standing.draft == draft:
                unchanged += 1
                continue
            if (standing.draft.type, standing.draft.currency) != (draft.type, draft.currency):
                raise InvalidInput(
                    f"account {draft.code} is {standing.draft.type} in {standing.draft.currency}; neither changes.",
                    remedy="Open another account.",
                )
            self._client.change_account(
                draft.code, if_match=standing.etag, overdraft=draft.overdraft, metadata=dict(draft.metadata)
            )
            changed += 1
        return AppliedAccounts(created=created, changed=changed, unchanged=unchanged)

    def open_account(self, draft: AccountDraft, *, actor: Actor, key: str | None = None) -> Answer:
        """Open one account."""
        del actor
        self._client.create_account(draft, key=key)
        return Answer(items=(), replayed=False, checkpoint=None, size=0)

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
        """Change one account; `expected_seq` guards against a change in between."""
        del actor, key
        standing = self._client.get_account(code)
        if expected_seq is not None and standing.changed_seq != expected_seq:
            raise Refused(f"account {code} was changed at {standing.changed_seq}, not at {expected_seq}.")
        change = {"status": status, "overdraft": overdraft, "metadata": dict(metadata) if metadata else None}
        self._client.change_account(
            code, if_match=standing.etag, **{name: value for name, value in change.items() if value is not None}
        )
        return Answer(items=(), replayed=False, checkpoint=None, size=0)

    def append_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Posted:
        """Append a record of a kind that the token's scopes allow."""
        return next(iter(self.answer_record(kind, body, actor=actor, key=key).posted))

    def answer_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Answer:
        """Append a record and return the whole answer, its checkpoint included."""
        del actor
        made = self._client.append_record(kind, body, key=key)
        return Answer(items=(_record(made),), replayed=made.replayed, checkpoint=made.checkpoint, size=made.seq + 1)

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
        """Undo an entry by its reversal."""
        del actor
        made: PostedEntry = self._client.reverse(
            entry_id, key=key, effective_at=effective_at, external_id=external_id, description=description
        )
        return Answer(
            items=(_posted(made, made.draft),), replayed=made.replayed, checkpoint=made.checkpoint, size=made.seq + 1
        )

    def dry_run(self, entry: EntryDraft) -> Declined | None:
        """Return what would be refused, or None."""
        try:
            self._client.dry_run(entry)
        except Refused as error:
            return Declined(error=error)
        return None

    def close(self) -> None:
        """End the connections."""
        self._pool.shutdown(wait=True)
        self._client.close()


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
