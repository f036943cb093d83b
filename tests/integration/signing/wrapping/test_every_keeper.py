"""What holds of each back-end that wraps: a key opens under its own context alone, and after every rotation."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger_core.base.wrapping.port import KeyName, Wrapped
from ledger_core.errors import CounterfoilError, DependencyError, KeyNotOpened

pytestmark = pytest.mark.integration

CONTEXT = {"counterfoil": "raw-file", "file_id": "6f0c3a52-3c19-4f0e-9d6a-6a1a2f5f0c53"}
KEY = bytes(range(32))


def test_a_key_opens_for_what_it_was_wrapped_for(keeper: Any, opened: Any) -> None:
    wrapper = opened(keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    assert wrapped.by == wrapper.current
    assert wrapped.by.backend == keeper.told["backend"]
    assert KEY[:8] not in wrapped.data
    assert repr(wrapped.data) not in repr(wrapped)
    assert wrapper.wrap(KEY, CONTEXT).data != wrapped.data, "the same key twice is not told to be the same"


@pytest.mark.parametrize(
    "other",
    [
        {**CONTEXT, "file_id": "6f0c3a52-3c19-4f0e-9d6a-6a1a2f5f0c54"},
        {**CONTEXT, "counterfoil": "probe"},
        {"file_id": CONTEXT["file_id"]},
        {**CONTEXT, "more": ""},
    ],
)
def test_it_opens_for_nothing_else(keeper: Any, opened: Any, other: dict[str, str]) -> None:
    wrapper = opened(keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    with pytest.raises(KeyNotOpened) as refused:
        wrapper.unwrap(wrapped, other)
    assert refused.value.context["reason"] == "wrong_context"
    assert refused.value.remedy
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY, "and what failed lost nothing"


def test_whatever_is_changed_of_it_opens_nothing(keeper: Any, opened: Any) -> None:
    wrapper = opened(keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    size = len(wrapped.data)
    places = {0, 1, size // 3, size // 2, size - 20, size - 6}
    damaged = [wrapped.data[:at] + bytes([wrapped.data[at] ^ 1]) + wrapped.data[at + 1 :] for at in sorted(places)]
    damaged += [wrapped.data[:-9], wrapped.data[:11], wrapped.data + wrapped.data, os.urandom(size), b"\0"]
    for data in damaged:
        with pytest.raises(CounterfoilError) as refused:
            wrapper.unwrap(dataclasses.replace(wrapped, data=data), CONTEXT)
        assert refused.value.context["reason"] in ("wrong_context", "wrong_key"), refused.value
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_what_was_wrapped_before_a_rotation_opens_after_it(keeper: Any, opened: Any) -> None:
    before = opened(keeper.told).wrap(KEY, CONTEXT)
    wrapper = opened(keeper.turn())
    after = wrapper.wrap(KEY, CONTEXT)
    assert wrapper.current == after.by != before.by
    assert wrapper.unwrap(before, CONTEXT) == wrapper.unwrap(after, CONTEXT) == KEY
    exchanged = Wrapped(by=after.by, data=before.data)
    with pytest.raises(CounterfoilError):
        wrapper.unwrap(exchanged, CONTEXT)


@pytest.mark.parametrize("keeper", ["file", "kms", "token"], indirect=True)
def test_a_key_that_is_gone_is_named(keeper: Any, opened: Any) -> None:
    wrapped = opened(keeper.told).wrap(KEY, CONTEXT)
    told = keeper.turn()
    keeper.remove()
    wrapper = opened(told)
    with pytest.raises(DependencyError) as gone:
        wrapper.unwrap(wrapped, CONTEXT)
    assert (gone.value.context["reason"], gone.value.retryable) == ("not_found", False)
    assert "no key was wrapped or opened" in str(gone.value)


@pytest.mark.parametrize("keeper", ["file", "vault", "token"], indirect=True)
def test_another_key_in_its_place_is_not_taken_for_it(keeper: Any, opened: Any) -> None:
    wrapped = opened(keeper.told).wrap(KEY, CONTEXT)
    keeper.exchange()
    with pytest.raises(CounterfoilError) as refused:
        opened(keeper.told).unwrap(wrapped, CONTEXT)
    # Transit says the same of both: its key has no other mark than its name and version.
    expected = "wrong_context" if keeper.told["backend"] == "vault" else "wrong_key"
    assert refused.value.context["reason"] == expected


def test_a_name_that_is_none_of_its_own_opens_nothing(keeper: Any, opened: Any) -> None:
    wrapper = opened(keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    backend = keeper.told["backend"]
    for key in ("", "../../sys/raw", "id:zz", "label:nobody", "transit/../sys", "arn:aws:kms:x", "a\nb", "%2e%2e/x"):
        with pytest.raises(CounterfoilError):
            wrapper.unwrap(Wrapped(by=KeyName(backend=backend, key=key, version="1"), data=wrapped.data), CONTEXT)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_only_the_file_makes_its_own_next_key(keeper: Any, opened: Any) -> None:
    wrapper = opened(keeper.told)
    if keeper.told["backend"] == "file":
        assert wrapper.rotate() == wrapper.current
        return
    with pytest.raises(CounterfoilError, match="is made there") as refused:
        wrapper.rotate()
    assert "file-keys rewrap" in str(refused.value)


def test_threads_share_it(keeper: Any, opened: Any) -> None:
    wrapper = opened(keeper.told)

    def there_and_back(number: int) -> bool:
        key, context = os.urandom(32), {"file_id": str(number)}
        return bool(wrapper.unwrap(wrapper.wrap(key, context), context) == key)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(there_and_back, range(40)))
