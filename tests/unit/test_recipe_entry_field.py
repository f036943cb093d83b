"""A field of a journal entry stands everywhere or nowhere: whoever adds one is told which file comes next.

What each place knows is read from the place itself; the order is the recipe's (docs/recipes.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.schemas.entries import JournalEntry, JournalEntryDraft
from ledger_core.book.kinds.journal_entry.derive import _ENTRY_COLUMNS
from ledger_core.book.posting.rows import ENTRIES_COPY
from ledger_core.client.results import entry_draft
from ledger_core.journal.entries import _ENTRY_KEYS, EntryDraft, PostingDraft, entry_as_json, parse_entry
from ledger_core.log.shapes import ENTRY_TEXTS, JOURNAL_ENTRY, SHAPES
from ledger_core.reading.records import entry_from_body

ROOT = Path(__file__).parents[2]
PRIVATE = {"private", "commitments"}
"""What a posting brings and its record commits to: no member that both have, and another recipe's (ADR 0031)."""
FIELDS = {field.name: str(field.type) for field in fields(EntryDraft) if field.name not in PRIVATE}
ANY: dict[str, Any] = {
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    "str": "said",
    "str | None": "01890a5d-ac96-774b-bcce-b302099a8057",
    "Mapping[str, str]": {"order": "o-1"},
    "tuple[PostingDraft, ...]": tuple(
        PostingDraft(account=code, direction=side, amount_minor=7, currency="USD")
        for code, side in (("assets:cash", "debit"), ("revenue:sales", "credit"))
    ),
}
"""A value of each type that a field has; a new type needs one here."""
NEEDED = ("effective_at", "external_id", "description", "postings")


def saying(name: str) -> EntryDraft:
    """Return a draft that says `name` besides what every draft says."""
    return EntryDraft(**{each: ANY[FIELDS[each]] for each in {*NEEDED, name}})


def carried(read: Any) -> set[str]:
    """Return the fields that survive being written and then read by `read`."""
    return {name for name in FIELDS if getattr(read(entry_as_json(saying(name))), name) == ANY[FIELDS[name]]}


def words(path: str, names: set[str]) -> set[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return {name for name in names if re.search(rf"\b{name}\b", text)}


def places() -> dict[str, set[str]]:
    """Return what each place knows of an entry's own members, in the order of the recipe."""
    shape = SHAPES[JOURNAL_ENTRY]
    given = set(FIELDS)
    document = {
        "id",
        "seq",
        "status",
        "hash",
        "recorded_at",
        "book",
        "reversed_by",
        "erased",
        "not_held",
        "withheld",
        *PRIVATE,
    }
    return {
        # The shape may be ahead of all others: verifiers learn a member before anybody writes it.
        "ledger_core/log/shapes.py": (shape.required | shape.optional)
        & (given | set(shape.required)) - {"actor", "fingerprint"} - PRIVATE,
        "ledger_core/journal/entries.py: EntryDraft": given,
        "ledger_core/journal/entries.py: _ENTRY_KEYS": set(_ENTRY_KEYS) - {"book"} - PRIVATE,
        "ledger_core/journal/entries.py: entry_as_json": {
            key for name in FIELDS for key in entry_as_json(saying(name))
        },
        "ledger_core/journal/entries.py: parse_entry": carried(parse_entry),
        "ledger_core/reading/records.py": carried(entry_from_body),
        "ledger_core/client/results.py": carried(entry_draft),
        "api/schemas/entries.py: JournalEntryDraft": set(JournalEntryDraft.model_fields) - {"book"} - PRIVATE,
        "api/schemas/entries.py: JournalEntry": set(JournalEntry.model_fields) - document,
        "docs/api.md": words("docs/api.md", given),
        "docs/formats/record.md": words("docs/formats/record.md", given),
    }


def next_place(known: Mapping[str, set[str]]) -> str | None:
    """Return the first place of the recipe that lacks a member which another has, and which members."""
    everything = set().union(*known.values())
    for place, names in known.items():
        if names != everything:
            return f"{place} lacks {', '.join(sorted(everything - names))} (docs/recipes.md)"
    return None


def test_every_member_of_an_entry_stands_everywhere() -> None:
    assert next_place(places()) is None


@pytest.mark.parametrize("first", places())
def test_a_member_in_one_place_alone_is_told_where_it_goes_next(first: str) -> None:
    known = places()
    known[first] = known[first] | {"due_on"}
    others = [place for place in known if place != first]
    assert next_place(known) == f"{others[0]} lacks due_on (docs/recipes.md)"


def test_the_places_are_files_of_the_recipe_in_its_order() -> None:
    recipe = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    section = recipe.partition("## Add a field to a journal entry")[2].partition("\n## ")[0]
    found = [section.find(place.partition(":")[0]) for place in places()]
    assert min(found) > 0
    assert found == sorted(found)


def test_every_text_of_an_entry_is_checked_as_text() -> None:
    texts = {name for name, type in FIELDS.items() if type in {"str", "str | None", "datetime"}}
    assert texts | {"fingerprint"} == set(ENTRY_TEXTS)


def test_a_member_with_its_default_is_not_written_so_that_older_fingerprints_stand() -> None:
    """But `metadata`, which was there from the first record on."""
    assert set(entry_as_json(saying("external_id"))) == {*NEEDED, "metadata"}


def test_what_is_stored_of_an_entry_is_what_a_check_derives_and_what_dbt_reads() -> None:
    copied = set(re.findall(r"\w+", ENTRIES_COPY.partition("(")[2].partition(")")[0]))
    assert copied - {"book"} == set(_ENTRY_COLUMNS)
    assert copied - {"book", "seq", "id"} <= set(FIELDS)
    staged = words("dbt/models/staging/ledger/stg_ledger__entries.sql", copied)
    assert copied - staged - {"book", "description"} == set(), "or say here why the marts do without it"
