"""Inside the profile orjson writes what RFC 8785 demands, by property; outside it the guard refuses."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger_core.errors import NotCanonical
from ledger_core.log import canonical
from ledger_core.log.canonical import MAX_INTEGER, canonical_bytes, parse_strict

# Surrogates are no characters, U+0000 is outside the profile.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(
    lambda text: unicodedata.normalize("NFC", text)
)
names = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=5), max_leaves=30
)


@given(values)
def test_orjson_writes_rfc_8785_on_the_profile(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(values)
def test_a_value_comes_back_from_its_bytes(value: Any) -> None:
    assert parse_strict(canonical_bytes(value)) == value


@given(values)
def test_the_verifier_without_orjson_means_the_same(value: Any) -> None:
    data = canonical_bytes(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "orjson", None)
        assert canonical_bytes(value) == data
        assert parse_strict(data) == value


@given(values, st.booleans())
def test_json_in_any_other_form_is_refused(value: Any, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=1).encode()
    if data == canonical_bytes(value):
        assert parse_strict(data) == value
    else:
        with pytest.raises(NotCanonical):
            parse_strict(data)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        value = parse_strict(data)
    except NotCanonical:
        return
    assert canonical_bytes(value) == data
