"""What becomes of an erasure: judged by facts that are written down here, and dropped in an order that holds."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import erasure as room
from ledger_core.book.kinds.erasure.facts import ErasureFacts
from ledger_core.errors import InvalidInput, NothingToErase, ReferenceNotFound
from ledger_core.journal.erasures import EntryErasure, ErasureDraft, check_erasure, parse_erasure
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import Unchanged

ACTOR = Actor(subject="tester")
UNTIL = date(2026, 3, 1)
CARD = "4111111111111111"
ONE, TWO, THREE = (f"0000000{number}-0000-4000-8000-000000000000" for number in (1, 2, 3))
NOW: Any = SimpleNamespace(book="main", seq=50)


class Files:
    """The room of files; what it is told to drop is written down."""

    table = held_query = ""

    def __init__(self) -> None:
        self.dropped: list[list[str]] = []

    def find(self, conn: Any, book: str, references: Any) -> dict[str, list[str]]:
        raise AssertionError("the facts are given")

    def drop(self, conn: Any, file_ids: Any) -> None:
        self.dropped.append(list(file_ids))


class Silent:
    """A connection that takes every statement, and finds the files in an order of its own."""

    def execute(self, *_: Any) -> Silent:
        return self

    def fetchall(self) -> list[tuple[str]]:
        return [(TWO,), (THREE,), (ONE,)]


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def kind(files: Files) -> room.Erasure:
    return room.Erasure(name="erasure", shape=SHAPES["erasure"], files=files)


def asked(kind: room.Erasure, *entries: EntryErasure, files: tuple[str, ...] = ()) -> room.ErasureItem:
    draft = ErasureDraft(reason="mistake", entries=entries, files=files, kept_until=UNTIL)
    return kind.prepare(draft, ACTOR, canonical_bytes(ACTOR.as_body()))


def facts_of(*names: str, **more: Any) -> ErasureFacts:
    """Return the facts of one entry, `e` at seq 7, that has private values of these names."""
    return ErasureFacts(entries={"e": 7}, ids={7: ONE}, names={7: frozenset(names)}, **more)


@pytest.mark.parametrize(
    ("entries", "files", "pointer"),
    [((EntryErasure(entry=CARD),), (), "/entries/0/id"), ((), (CARD,), "/files/0")],
)
def test_a_card_number_is_refused_before_a_hash_of_the_request_is_kept(
    kind: room.Erasure, entries: tuple[EntryErasure, ...], files: tuple[str, ...], pointer: str
) -> None:
    with pytest.raises(InvalidInput, match="card number") as refused:
        asked(kind, *entries, files=files)
    assert CARD not in str(refused.value)
    assert refused.value.pointer.endswith(pointer)


def test_what_is_erased_already_waits_for_the_last_record_that_erased_any_of_it(kind: room.Erasure) -> None:
    values = facts_of("a", "b", erased={(7, "a"): 20, (7, "b"): 10})
    answer = kind.judge(NOW, asked(kind, EntryErasure(entry="e")), values)
    assert isinstance(answer, Unchanged)
    assert (answer.code, answer.stands) == ("e", 21)
    keys = ErasureFacts(files={"x": [ONE, TWO]}, erased_files={ONE: 30, TWO: 10})
    answer = kind.judge(NOW, asked(kind, files=("x",)), keys)
    assert isinstance(answer, Unchanged)
    assert (answer.code, answer.stands) == ("x", 31)


def test_the_record_names_files_in_one_order_whatever_was_asked(kind: room.Erasure) -> None:
    bodies = []
    for references in (("x", "y"), ("y", "x"), ("y", "x", "x")):
        facts = ErasureFacts(files={"x": [THREE, ONE], "y": [TWO, ONE]})
        bodies.append(json.loads(kind.judge(NOW, asked(kind, files=references), facts).body))  # type: ignore[union-attr]
    assert [file["file_id"] for file in bodies[0]["files"]] == [ONE, TWO, THREE]
    assert bodies[0] == bodies[1] == bodies[2], "the fingerprint too is of the files and not of their references"


def test_names_alone_are_erased_and_only_those_that_the_entry_has(kind: room.Erasure) -> None:
    body = json.loads(kind.judge(NOW, asked(kind, EntryErasure(entry="e", names=("b",))), facts_of("a", "b")).body)  # type: ignore[union-attr]
    assert body["values"] == [{"id": ONE, "names": ["b"], "seq": 7}]
    with pytest.raises(NothingToErase):
        kind.judge(NOW, asked(kind, EntryErasure(entry="e", names=("b", "c"))), facts_of("a", "b"))
    with pytest.raises(NothingToErase):
        kind.judge(NOW, asked(kind, EntryErasure(entry="e")), facts_of())
    for nothing in (asked(kind, EntryErasure(entry="other")), asked(kind, files=("x",))):
        with pytest.raises(ReferenceNotFound):
            kind.judge(NOW, nothing, facts_of("a"))


def test_a_record_that_no_verifier_would_read_is_refused_and_changes_nothing(kind: room.Erasure) -> None:
    many = [f"{number:02}{'n' * 62}" for number in range(64)]
    numbers = range(20)
    facts = ErasureFacts(
        entries={f"e{number}": number for number in numbers},
        ids=dict.fromkeys(numbers, ONE),
        names=dict.fromkeys(numbers, frozenset(many)),
    )
    with pytest.raises(InvalidInput, match="bytes"):
        kind.judge(NOW, asked(kind, *(EntryErasure(entry=each) for each in facts.entries)), facts)
    assert facts.erased == {}


def test_what_falls_with_its_group_can_be_erased_by_the_next(kind: room.Erasure) -> None:
    facts = facts_of("a", files={"x": [ONE]})
    item = asked(kind, EntryErasure(entry="e"), files=("x",))
    first = kind.judge(NOW, item, facts)
    assert isinstance(kind.judge(NOW, item, facts), Unchanged)
    assert not isinstance(first, Unchanged)
    kind.undo(NOW, first, facts)
    assert (facts.erased, facts.erased_files) == ({}, {})
    again = kind.judge(NOW, item, facts)
    assert not isinstance(again, Unchanged)
    assert again.body == first.body


def test_keys_of_files_are_dropped_in_one_order_over_the_whole_batch(kind: room.Erasure, files: Files) -> None:
    conn: Any = Silent()
    facts = ErasureFacts(files={"x": [TWO], "y": [THREE, ONE]})
    batch = [(50, kind.judge(NOW, asked(kind, files=(each,)), facts)) for each in ("x", "y")]
    kind.project(conn, "main", batch)  # type: ignore[arg-type]
    kind.mend(conn, "main", ErasureFacts(erased_before=frozenset({THREE, ONE, TWO})))
    kind.restored(conn, "main")
    assert files.dropped == [[ONE, TWO, THREE]] * 3


def test_a_draft_that_code_made_is_held_to_the_rules_of_what_was_parsed() -> None:
    entry = EntryErasure(entry="e")
    for wrong, pointer in (
        ({"reason": "because", "entries": (entry,)}, "/reason"),
        ({"reason": "mistake"}, "/entries"),
        ({"reason": "mistake", "entries": (entry,) * 101}, "/entries"),
        ({"reason": "mistake", "files": ("x",) * 101}, "/files"),
    ):
        with pytest.raises(InvalidInput) as refused:
            check_erasure(ErasureDraft(kept_until=UNTIL, **wrong))
        assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ([], ""),
        ({"reason": "mistake", "entries": [{"id": "e", "names": []}]}, "/entries/0/names"),
        ({"reason": "mistake", "entries": [{"id": "e", "names": ["a"] * 65}]}, "/entries/0/names"),
        ({"reason": "mistake", "entries": [{"id": "e", "names": [1]}]}, "/entries/0/names/0"),
        ({"reason": "mistake", "entries": [{"id": "e", "names": ["A"]}]}, "/entries/0/names/0"),
        ({"reason": "mistake", "entries": [{"id": ""}]}, "/entries/0/id"),
        ({"reason": "mistake", "entries": [{"id": "e" * 256}]}, "/entries/0/id"),
        ({"reason": "mistake", "entries": [{"id": "e", "value": "x"}]}, "/entries/0/value"),
        ({"reason": "mistake", "entries": [], "note": "Ada"}, "/note"),
        ({"reason": ["mistake"], "entries": [{"id": "e"}]}, "/reason"),
        ({"reason": "mistake", "files": [""]}, "/files/0"),
        ({"reason": "mistake", "files": ["0" * 65]}, "/files/0"),
        ({"reason": "mistake", "files": "x"}, "/files"),
    ],
)
def test_what_is_no_erasure_is_refused_at_its_place(wrong: Any, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_erasure(wrong, kept_until=UNTIL)
    assert refused.value.pointer == pointer
