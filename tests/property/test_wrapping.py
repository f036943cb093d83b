"""Of any key and any two contexts: a key opens for its own context, and for no other."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger_core.base.wrapping.file import FileWrapper
from ledger_core.base.wrapping.port import Wrapped, bound
from ledger_core.errors import KeyNotOpened

contexts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> FileWrapper:
    return FileWrapper(tmp_path_factory.mktemp("wrapping"))


@given(key=st.binary(min_size=32, max_size=32), context=contexts, other=contexts)
def test_a_key_opens_for_its_own_context_alone(
    wrapper: FileWrapper, key: bytes, context: dict[str, str], other: dict[str, str]
) -> None:
    assume(context != other)
    assert bound(context) != bound(other)
    wrapped = wrapper.wrap(key, context)
    assert wrapper.unwrap(wrapped, context) == key
    with pytest.raises(KeyNotOpened):
        wrapper.unwrap(wrapped, other)


@given(data=st.binary(max_size=80))
def test_bytes_of_somebody_open_nothing(wrapper: FileWrapper, data: bytes) -> None:
    with pytest.raises(KeyNotOpened):
        wrapper.unwrap(Wrapped(by=wrapper.current, data=data), {"file_id": "a"})
