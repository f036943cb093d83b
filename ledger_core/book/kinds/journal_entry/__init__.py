"""A journal entry: from its draft to the rows of `entries` and `postings`. The one kind whose rows go by COPY.

`prepare` works out all that needs no lock, `facts` reads what the batch's entries refer to, `judge` says what the books
allow, `derive` is how a check re-derives the rows. Balances belong to the batch, not to one entry: the writer adds each
account's sum in one update (`book/posting/balances.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from ledger_core.actor import Actor
from ledger_core.book.kinds.journal_entry.derive import Entries
from ledger_core.book.kinds.journal_entry.facts import EntryFacts, read_entry_facts
from ledger_core.book.kinds.journal_entry.judge import book_entry, judge_entry, undo_entry
from ledger_core.book.kinds.journal_entry.prepare import EntryItem, item_of, prepare_entry
from ledger_core.book.posting.private import differ
from ledger_core.book.posting.rows import (
    ENTRIES_COPY,
    POSTINGS_COPY,
    PRIVATE_KEYS_COPY,
    PRIVATE_VALUES_COPY,
    RowWriter,
    copy_data,
    private_rows,
)
from ledger_core.errors import IntegrityError
from ledger_core.journal.entries import EntryDraft, entry_as_known
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import Draft
from ledger_core.reading.private import read_held
from ledger_core.reading.records import entry_from_body

if TYPE_CHECKING:
    from psycopg import Connection

    from ledger_core.book.posting.accounts import BookState
    from ledger_core.book.posting.judge import BatchJudge
    from ledger_core.book.posting.recall import Recalling
    from ledger_core.evidence.check.checking import Checking


class JournalEntry(Kind):
    """The kind `journal_entry`."""

    writes_rows: ClassVar[bool] = True

    def accepts(self, draft: Draft) -> bool:
        return isinstance(draft, EntryDraft)

    def route(self, draft: Draft) -> str:
        return "journal-entries"

    def document(self, draft: EntryDraft) -> Any:
        return entry_as_known(draft)

    def prepare(self, draft: EntryDraft, actor: Actor, who: bytes) -> EntryItem:
        return prepare_entry(draft, who)

    def read_facts(
        self, conn: Connection[Any], view: BookState, items: Sequence[EntryItem], before: EntryFacts | None
    ) -> EntryFacts:
        return read_entry_facts(conn, view, items, before)

    def judge(self, judging: BatchJudge, item: EntryItem, facts: EntryFacts) -> Accepted:
        return judge_entry(judging, item, facts)

    def undo(self, judging: BatchJudge, accepted: Accepted, facts: EntryFacts) -> None:
        undo_entry(accepted, facts)

    def place(
        self, facts: EntryFacts, rows: RowWriter, accepted: Accepted, seq: int, raw_id: bytes, id: str
    ) -> EntryDraft:
        item: EntryItem = accepted.item
        facts.entry_rows.append(rows.entry(seq, raw_id, item.entry_suffix))
        for line, (account, suffix) in enumerate(zip(accepted.detail, item.posting_suffixes, strict=True)):
            facts.posting_rows.append(rows.posting(seq, line, account.account_id, suffix))
        facts.placed[item.draft.external_id] = (item, id)
        if item.private:
            keys, values = private_rows(rows.book, seq, item.private)
            facts.private_keys.append(keys)
            facts.private_values.append(values)
            # What is answered is what the record says, as it will be when it is read again.
            return replace(item.draft, private={})
        return item.draft

    def recall_facts(self) -> EntryFacts:
        return EntryFacts()

    def recall(self, judging: Recalling, record: Record) -> Accepted:
        draft = entry_from_body(record.body)
        accounts = [judging.state.accounts[posting.account] for posting in draft.postings]
        book_entry(judging.deltas, record.seq, draft, accounts)
        return Accepted(item_of(draft, record.body["metadata"], b"", record.body["fingerprint"]), b"", accounts)

    def streams(self, facts: EntryFacts) -> list[tuple[str, bytes]]:
        streams = [(ENTRIES_COPY, copy_data(facts.entry_rows)), (POSTINGS_COPY, copy_data(facts.posting_rows))]
        if facts.private_keys:
            streams.append((PRIVATE_KEYS_COPY, copy_data(facts.private_keys)))
            streams.append((PRIVATE_VALUES_COPY, copy_data(facts.private_values)))
        return streams

    def settle(self, conn: Connection[Any], book: str, facts: EntryFacts, *, size: int) -> Mapping[int, int]:
        """Tell each refused duplicate who holds its `external_id`, and whether the holder says the same."""
        if not facts.duplicates:
            return {}
        stored = [duplicate.known.seq for duplicate in facts.duplicates if duplicate.known is not None]
        fingerprints = _fingerprints(conn, book, stored) if stored else {}
        private = [each.known.seq for each in facts.duplicates if each.known is not None and each.item.private]
        held = read_held(conn, book, private) if private else {}
        for duplicate in facts.duplicates:
            error, item, known = duplicate.error, duplicate.item, duplicate.known
            if known is not None:
                if known.seq not in fingerprints:
                    raise IntegrityError(f"entry {known.id} has no record.", remedy="Run `counterfoil check`.")
                error.entry_id = known.id
                same = fingerprints[known.seq] == item.fingerprint
                error.identical = same and not differ(item.private, held.get(known.seq, {}))
                continue
            name = item.draft.external_id
            holder = facts.placed.get(name) or facts.before.get(name)
            # None where the holder fell with its atomic group.
            if holder is not None:
                first, error.entry_id = holder
                same = first.fingerprint == item.fingerprint
                error.identical = same and first.draft.private == item.draft.private
        return {id(each.error): each.known.seq + 1 if each.known else size for each in facts.duplicates}

    def derive(self, checking: Checking) -> Entries:
        return Entries(checking.snapshot, checking.derivation("account"), checking.findings, only=checking.only)


def _fingerprints(conn: Connection[Any], book: str, seqs: Sequence[int]) -> dict[int, str]:
    rows = conn.execute(
        "select seq, canonical from ledger.records where book = %s and seq = any(%s)", [book, list(seqs)]
    )
    return {seq: orjson.loads(canonical)["body"]["fingerprint"] for seq, canonical in rows}


JOURNAL_ENTRY = JournalEntry(name="journal_entry", shape=SHAPES["journal_entry"])
EntryItem.kind = JOURNAL_ENTRY
