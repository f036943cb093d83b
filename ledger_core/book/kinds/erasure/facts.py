"""What judging a batch's erasures needs of the database: which entries and files are meant, and what is erased."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ledger_core.journal.erasures import ErasureDraft
from ledger_core.ports import ErasableFiles

if TYPE_CHECKING:
    from psycopg import Connection

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(slots=True, kw_only=True)
class ErasureFacts:
    """The facts of one batch's erasures; `erased` and `erased_files` grow with what it erases itself."""

    entries: Mapping[str, int] = field(default_factory=dict)
    """Seq by the id or `external_id` that was asked for."""
    ids: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The names of the values that each entry commits to."""
    erased: dict[tuple[int, str], int] = field(default_factory=dict)
    """The record that erased a value, by seq of the entry and name."""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids of the files by the id or hash that was asked for."""
    erased_files: dict[str, int] = field(default_factory=dict)
    erased_before: frozenset[str] = frozenset()
    """Those of them that the log said were erased before this batch."""


def read_erasure_facts(
    conn: Connection[Any], book: str, drafts: Sequence[ErasureDraft], files: ErasableFiles | None
) -> ErasureFacts:
    """Return the facts of `drafts`, in a handful of queries whatever they name."""
    facts = ErasureFacts()
    asked = sorted({item.entry for draft in drafts for item in draft.entries})
    if asked:
        _read_entries(conn, book, asked, facts)
    references = sorted({reference for draft in drafts for reference in draft.files})
    if references and files is not None:
        facts.files = files.find(conn, book, references)
        ids = [file_id for found in facts.files.values() for file_id in found]
        rows = conn.execute(
            "select file_id::text, seq from ledger.erased_files where book = %s and file_id = any(%s::uuid[])",
            [book, ids],
        )
        facts.erased_files = dict(rows.fetchall())
        facts.erased_before = frozenset(facts.erased_files)
    return facts


def _read_entries(conn: Connection[Any], book: str, asked: Sequence[str], facts: ErasureFacts) -> None:
    rows = conn.execute(
        "select entry.seq, entry.id::text, entry.external_id, record.canonical from ledger.entries as entry "
        "inner join ledger.records as record using (book, seq) "
        "where entry.book = %s and (entry.id = any(%s::uuid[]) or entry.external_id = any(%s))",
        [book, [text for text in asked if _UUID.fullmatch(text)], list(asked)],
    ).fetchall()
    by_id = {id: seq for seq, id, _, _ in rows}
    by_name = {external_id: seq for seq, _, external_id, _ in rows}
    found = {text: by_id.get(text.lower(), by_name.get(text)) for text in asked}
    facts.entries = {text: seq for text, seq in found.items() if seq is not None}
    facts.ids = {seq: id for seq, id, _, _ in rows}
    facts.names = {
        seq: frozenset(orjson.loads(canonical)["body"].get("commitments", ())) for seq, _, _, canonical in rows
    }
    gone = conn.execute(
        "select entry_seq, name, seq from ledger.erased_values where book = %s and entry_seq = any(%s)",
        [book, list(facts.ids)],
    )
    facts.erased = {(entry_seq, name): seq for entry_seq, name, seq in gone}
