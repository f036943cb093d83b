"""Identity holds for any set of differences and any history of breaks, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from reconciliation.breaks.identity import KIND_ORDER, BreakKey, Found, assign

KEYS = st.builds(
    BreakKey,
    leg=st.sampled_from("AB"),
    provider=st.just("stripe"),
    account=st.just("default"),
    kind=st.sampled_from(KIND_ORDER),
    key=st.sampled_from(["k1", "k2", "k3", "k4"]),
    sign=st.sampled_from([-1, 1]),
    currency=st.sampled_from(["USD", "EUR"]),
)


@st.composite
def differences(draw: st.DrawFn) -> list[Found]:
    count = draw(st.integers(0, 8))
    return [
        Found(
            difference_id=f"d{number}",
            leg="A",
            provider="stripe",
            account="default",
            sign=draw(st.sampled_from([-1, 1])),
            key=draw(st.sampled_from(["k1", "k2"])),
            currency="USD",
            keys=tuple(draw(st.lists(KEYS, max_size=4))),
        )
        for number in range(count)
    ]


HISTORY = st.dictionaries(KEYS, st.sampled_from(["b1", "b2", "b3"]), max_size=12)


@given(found=differences(), known=HISTORY, chance=st.randoms(use_true_random=False))
def test_every_difference_gets_one_break_of_its_own_whatever_the_order(
    found: list[Found], known: dict[BreakKey, str], chance: Random
) -> None:
    answer = assign(found, known, book="main", exists=lambda _ids: set())
    assert set(answer) == {difference.difference_id for difference in found}
    assert len(set(answer.values())) == len(found)
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert assign(shuffled, known, book="main", exists=lambda _ids: set()) == answer


@given(found=differences(), known=HISTORY)
def test_a_break_is_left_aside_only_when_another_difference_took_it(
    found: list[Found], known: dict[BreakKey, str]
) -> None:
    answer = assign(found, known, book="main", exists=lambda _ids: set())
    for difference in found:
        shared = {known[key] for key in difference.keys if key in known}
        if shared and answer[difference.difference_id] not in shared:
            assert shared <= set(answer.values()), "a difference that shares an id belongs to that break"


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    kept=st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
def test_one_id_that_stays_is_enough_to_stay_the_same_break(sizes: list[int], kept: list[int]) -> None:
    today = [_with_own_keys(number, size) for number, size in enumerate(sizes)]
    first = assign(today, {}, book="main", exists=lambda _ids: set())
    known = {key: first[difference.difference_id] for difference in today for key in difference.keys}
    tomorrow = [
        replace(difference, key=f"renamed {number}", keys=(difference.keys[kept[number] % len(difference.keys)],))
        for number, difference in enumerate(today)
    ]
    assert assign(tomorrow, known, book="main", exists=lambda _ids: set()) == first


def _with_own_keys(number: int, size: int) -> Found:
    keys = tuple(
        BreakKey(leg="A", provider="stripe", account="default", kind=kind, key=f"k{number}", sign=1, currency="USD")
        for kind in KIND_ORDER[:size]
    )
    return Found(
        difference_id=f"d{number}", leg="A", provider="stripe", account="default", sign=1, key=f"k{number}",
        currency="USD", keys=keys,
    )  # fmt: skip
