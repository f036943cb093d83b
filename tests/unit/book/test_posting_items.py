"""Entries made ready for the lock: the body is canonical, whatever stands in its strings."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_core.book.kinds.journal_entry.prepare import check_splice, prepare_entry
from ledger_core.book.posting.build import uuid7
from ledger_core.errors import InvalidInput, NotCanonical
from ledger_core.journal.entries import EntryDraft, PostingDraft, entry_as_json
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.commitments import commitment_of
from ledger_core.log.shapes import ENTRY_TEXTS, JOURNAL_ENTRY, SHAPES

ACTOR = {"role": "service", "subject": 'a "quoted" subject'}

_text = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ['","metadata":{', ',"metadata":', '\\","metadata":"', "{}", 'x"', "é", "e\u0301", "a\0b", "\ud800"]
    ),
)


EARLIER = "01890000-0000-7000-8000-000000000000"
# What is private, and the commitments to it, are not spliced.
DRAFTED = [member.name for member in fields(EntryDraft) if member.name != "private"]
MEMBERS = (SHAPES[JOURNAL_ENTRY].required | SHAPES[JOURNAL_ENTRY].optional) - {"commitments"}


def draft(
    external_id: str,
    description: str,
    metadata: dict[str, str],
    corrects: str | None,
    reverses: str | None = None,
    pairs: int = 1,
) -> EntryDraft:
    sides = (("assets:a", "debit"), ("revenue:b", "credit")) * pairs
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description=description,
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=7, currency="USD") for code, side in sides
        ),
        metadata=metadata,
        corrects=corrects,
        reverses=reverses,
    )


def is_canonical(value: object) -> bool:
    try:
        canonical_bytes(value)
    except NotCanonical:
        return False
    return True


@given(
    _text,
    _text,
    st.dictionaries(st.sampled_from(["metadata", "a", "b_1", "Key", "1a", "ü", "x,y"]), _text, max_size=3),
    st.sampled_from([None, EARLIER]),
    st.sampled_from([None, EARLIER]),
    st.integers(1, 3),
)
def test_a_prepared_body_is_the_canonical_form_of_entry_actor_and_fingerprint(
    external_id: str,
    description: str,
    metadata: dict[str, str],
    corrects: str | None,
    reverses: str | None,
    pairs: int,
) -> None:
    entry = draft(external_id, description, metadata, corrects, reverses, pairs)
    wire = entry_as_json(entry)
    if not is_canonical(wire):
        with pytest.raises(NotCanonical):
            prepare_entry(entry, canonical_bytes(ACTOR))
        return
    item = prepare_entry(entry, canonical_bytes(ACTOR))
    plain = canonical_bytes(wire)
    assert item.fingerprint == sha256(plain).hexdigest()
    assert item.body == canonical_bytes({**wire, "actor": ACTOR, "fingerprint": item.fingerprint})
    assert json.loads(item.body)["description"] == description


def test_an_entry_writes_the_members_that_the_splice_is_checked_for() -> None:
    check_splice(DRAFTED, MEMBERS, ENTRY_TEXTS)
    wire = entry_as_json(draft("x", "d", {}, EARLIER, EARLIER))
    assert sorted(wire) == sorted(DRAFTED)
    assert {name for name, value in wire.items() if isinstance(value, str)} <= set(ENTRY_TEXTS)


@pytest.mark.parametrize(
    ("member", "texts", "said"),
    [
        ("aborted_by", ["aborted_by"], "aborted_by sorts before it"),
        ("invoice", ["invoice"], "invoice sorts between them"),
        ("finger_count", [], "finger_count is not text"),
        ("contract", [], "contract is not text"),
    ],
)
def test_a_member_that_the_splice_would_misplace_is_refused(member: str, texts: list[str], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_splice([*DRAFTED, member], [*MEMBERS, member], [*ENTRY_TEXTS, *texts])


def test_a_list_without_metadata_or_with_nothing_before_it_is_refused() -> None:
    for members in (["description", "postings"], ["metadata", "postings"]):
        with pytest.raises(AssertionError, match="there, and not first"):
            check_splice(members, members, members)


def test_a_member_that_no_verifier_knows_is_refused() -> None:
    with pytest.raises(AssertionError, match="zone would be appended"):
        check_splice([*DRAFTED, "zone"], MEMBERS, ENTRY_TEXTS)


def test_an_entry_too_large_for_a_record_is_refused_and_names_the_limit() -> None:
    large = draft("x", "d", {f"k{n}": "v" * 8_000 for n in range(9)}, None)
    with pytest.raises(InvalidInput, match="bytes"):
        prepare_entry(large, canonical_bytes(ACTOR))


@given(st.integers(0, 2**48 * 1000 - 1), st.integers(1, 10**6), st.binary(min_size=8, max_size=8))
def test_ids_sort_as_their_times_do(micros: int, later: int, randomness: bytes) -> None:
    first, second = uuid7(micros, randomness), uuid7(min(micros + later, 2**48 * 1000 - 1), randomness)
    assert first <= second
    assert (first[6] >> 4, first[8] >> 6) == (7, 2)


@given(private=st.dictionaries(st.sampled_from(["metadata", "actor", "a", "z"]), st.text(max_size=20), min_size=1))
def test_the_body_of_an_entry_with_private_values_is_canonical_and_says_what_it_did_without(private: dict) -> None:
    plain, who = draft("x", "d", {"order": "o-1"}, None), canonical_bytes(ACTOR)
    if not is_canonical(private):
        with pytest.raises(InvalidInput):
            prepare_entry(replace(plain, private=private), who)
        return
    item = prepare_entry(replace(plain, private=private), who, lambda length: bytes(length))
    body = json.loads(item.body)
    assert canonical_bytes(body) == item.body
    assert body["commitments"] == {name: commitment_of(bytes(16), value) for name, value in private.items()}
    assert body["fingerprint"] == item.fingerprint != prepare_entry(plain, who).fingerprint
    others = replace(plain, private=dict.fromkeys(private, "another"))
    assert prepare_entry(others, who).fingerprint == item.fingerprint
    without = json.loads(prepare_entry(plain, who).body)
    assert {**body, "fingerprint": ""} == {**without, "commitments": body["commitments"], "fingerprint": ""}
