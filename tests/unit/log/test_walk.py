"""No amount of what is somebody else's hides what is ours: in which order candidates are looked at, and how many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger_core.log.walk import Candidate, fair, walk

BEGAN = datetime(2026, 3, 30, tzinfo=UTC)


def candidate(segment: int, first: int, end: int, *, day: int, folder: str = "") -> Candidate:
    return Candidate(
        home="log",
        folder=folder or f"ours/{segment}",
        segment=segment,
        first_seq=first,
        next_seq=end,
        written_at=BEGAN + timedelta(days=day),
    )


OURS = [candidate(number, 10 * (number - 1), 10 * number, day=number) for number in range(1, 8)]


def asked_of(candidates: list[Candidate], limit: int) -> tuple[list[str], list[Candidate]]:
    asked: list[str] = []

    def is_ours(item: Candidate) -> bool:
        asked.append(item.folder)
        return item.folder.startswith("ours")

    return asked, walk(candidates, is_ours, limit=limit)


@pytest.mark.parametrize("day", [0, 4, 99], ids=["before all", "in the middle", "after all"])
def test_junk_under_any_name_is_looked_at_so_far_and_ours_all_the_same(day: int) -> None:
    # Copies of our positions, higher numbers, ranges that begin anywhere: as somebody lays them who cannot sign.
    junk = [
        candidate(1 + number % 9, number % 70, number + 5, day=day, folder=f"junk/{number}") for number in range(500)
    ]
    asked, unasked = asked_of(junk + OURS, limit=501 if day == 0 else 40)
    assert [folder for folder in asked if folder.startswith("ours")] == [item.folder for item in OURS]
    assert {item.folder for item in unasked} == {item.folder for item in junk} - set(asked)


def test_what_follows_on_ours_is_asked_before_whatever_was_written_earlier() -> None:
    junk = [candidate(50, number, number + 1, day=2, folder=f"junk/{number}") for number in range(100)]
    asked, unasked = asked_of(junk + OURS, limit=1)
    assert asked[: len(OURS)] == [item.folder for item in OURS]
    assert len(unasked) == 99


def test_work_ends_where_too_much_was_somebody_elses() -> None:
    junk = [candidate(1, 0, number + 1, day=0, folder=f"junk/{number}") for number in range(1000)]
    asked, unasked = asked_of(junk, limit=30)
    assert (len(asked), len(unasked)) == (30, 970)


def test_a_position_known_from_elsewhere_comes_first() -> None:
    junk = [candidate(9, 9, 10, day=0, folder=f"junk/{number}") for number in range(100)]
    asked: list[str] = []

    def is_ours(item: Candidate) -> bool:
        asked.append(item.folder)
        return False

    walk([*junk, candidate(8, 70, 80, day=50)], is_ours, after=[("log", 8, 70)], limit=1)
    assert asked == ["ours/8"]


def test_of_too_many_half_are_the_largest_and_half_the_first_written() -> None:
    items = [(size, BEGAN + timedelta(seconds=size)) for size in range(100)]
    assert fair(items, size=lambda item: item[0], written_at=lambda item: item[1], limit=200) == items[::-1]
    chosen = fair(items, size=lambda item: item[0], written_at=lambda item: item[1], limit=10)
    assert [size for size, _ in chosen] == [99, 98, 97, 96, 95, 0, 1, 2, 3, 4]
