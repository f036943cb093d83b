"""What a process believes of its books before it shows what may have been erased."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_core.book import behind
from ledger_core.errors import DependencyError, LedgerBehind
from ledger_core.log.note import Checkpoint, NoteSignature, SignedNote, checkpoint_text
from ledger_core.settings import Settings

ORIGIN = "counterfoil.test/test/main"


class World:
    """A proxy, an archive and a database, each with a size of the log; every question is counted."""

    def __init__(self, *, proxy: int | None, archive: int | None, database: int) -> None:
        self.proxy, self.archive, self.database = proxy, archive, database
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.now = 0.0
        settings = Settings(home_path=Path("home"), env="test")
        self.known = behind.Behind(
            SimpleNamespace(settings=settings, signer=self, engine=self), monotonic=lambda: self.now
        )

    def latest(self, origin: str) -> str | None:
        self.asked.append("proxy")
        if self.error is not None:
            raise self.error
        if self.proxy is None:
            return None
        signature = NoteSignature(origin, b"1234", b"x")
        return str(SignedNote(checkpoint_text(origin, self.proxy, bytes(32)), (signature,)))

    def newest_archived(self, *_: Any) -> Checkpoint | None:
        self.asked.append("archive")
        return None if self.archive is None else Checkpoint(ORIGIN, self.archive, bytes(32))

    def size(self, *_: Any) -> int:
        self.asked.append("database")
        return self.database


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(**sizes: Any) -> World:
        made = World(**sizes)
        monkeypatch.setattr(behind, "newest_archived", made.newest_archived)
        monkeypatch.setattr(behind, "_size", made.size)
        return made

    return make


@pytest.mark.parametrize(
    ("proxy", "archive", "database", "is_behind"),
    [
        (5, 5, 5, False),
        (5, None, 9, False),
        (None, None, 0, False),
        (6, None, 5, True),
        (5, 6, 5, True),
        (None, 1, 0, True),
    ],
)
def test_a_book_is_behind_when_proxy_or_archive_know_more(
    world: Any, proxy: int | None, archive: int | None, database: int, is_behind: bool
) -> None:
    found = world(proxy=proxy, archive=archive, database=database).known.reason("main")
    assert isinstance(found, LedgerBehind) if is_behind else found is None


def test_the_proxy_is_asked_before_the_database_so_that_who_writes_meanwhile_is_not_taken_for_behind(
    world: Any,
) -> None:
    made = world(proxy=5, archive=5, database=5)
    made.known.reason("main")
    assert made.asked == ["proxy", "database", "archive", "database"]


def test_a_book_that_is_whole_is_compared_once_and_each_book_for_itself(world: Any) -> None:
    made = world(proxy=5, archive=None, database=5)
    assert [made.known.reason("main") for _ in range(3)] == [None] * 3
    assert made.asked.count("proxy") == 1
    made.database = 4
    assert made.known.reason("main") is None
    assert isinstance(made.known.reason("other"), LedgerBehind)


def test_what_cannot_be_compared_is_held_back_and_asked_for_again_after_a_while(world: Any) -> None:
    made = world(proxy=5, archive=None, database=5)
    made.error = DependencyError("away")
    for _ in range(3):
        assert made.known.reason("main") is made.error
    assert made.asked.count("proxy") == 1, "an absent proxy costs no reader its time-out each"
    made.error = None
    made.now = behind.ASK_AGAIN_SECONDS + 1
    assert made.known.reason("main") is None


def test_a_book_whose_tail_came_back_is_shown_again(world: Any) -> None:
    made = world(proxy=6, archive=None, database=5)
    assert isinstance(made.known.reason("main"), LedgerBehind)
    made.database, made.now = 6, behind.ASK_AGAIN_SECONDS + 1
    assert made.known.reason("main") is None
