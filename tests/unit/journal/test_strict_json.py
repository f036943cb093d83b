"""Strict JSON: what two parsers could read differently is refused, and the place is named."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_core.errors import InvalidInput
from ledger_core.journal.entries import parse_json


@pytest.mark.parametrize(
    ("data", "pointer", "says"),
    [
        (b'{"a":{"b":1,"b":2}}', "/a/b", "twice"),
        (b'[{"a":1},{"x/y":1,"x/y":1}]', "/1/x~1y", "twice"),
        (b'{"a":[1.5]}', "/a/0", "whole number"),
        (b'{"a":1e3}', "/a", "whole number"),
        (b'{"a":1.0}', "/a", "whole number"),
        (b'{"a":NaN}', "/a", "not JSON"),
        (b'{"a":-Infinity}', "/a", "not JSON"),
        (b'{"a":9007199254740992}', "/a", "beyond"),
        (b'{"a":' + b"9" * 5000 + b"}", "/a", "beyond"),
        (b'{"a":"\\ud800"}', "/a", "surrogate"),
        (b'{"a":"\\u0000"}', "/a", "U+0000"),
        (b'{"\\u0000":1}', "", "U+0000"),
        ('{"a":"e\u0301"}'.encode(), "/a", "NFC"),
        (b'{"a":"e\\u0301"}', "/a", "NFC"),
    ],
)
def test_an_ambiguous_value_is_refused_with_its_pointer(data: bytes, pointer: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(data, file="entries.jsonl", line=7)
    assert caught.value.pointer == pointer
    assert says in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("entries.jsonl", 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b"{'a':1}",
        b'{"a":"\n"}',
        b"\xff\xfe{",
        b'"\xff"',
        b'\xef\xbb\xbf{"a":1}',
        b"[" * 100_000,
        b"nul",
    ],
)
def test_what_is_not_json_is_refused_with_file_and_line(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(data, file="entries.jsonl", line=7)
    assert (caught.value.file, caught.value.line) == ("entries.jsonl", 7)
    assert caught.value.remedy


def test_too_deep_a_document_names_the_line_within_it() -> None:
    with pytest.raises(InvalidInput, match=r"entries.json:3: nested deeper than 64 levels\. \w+") as caught:
        parse_json(b'[\n"[[[\\"",\n' + b"[" * 100_000, file="entries.json")
    assert caught.value.line == 3


def test_a_line_that_is_no_json_says_what_a_line_holds() -> None:
    with pytest.raises(InvalidInput, match=r"Expecting value.*object a line, as POST /finance/journal-entries"):
        parse_json(b"a,b,c", file="entries.jsonl", line=7)


def test_a_document_of_its_own_names_the_line_within_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(b'{\n"a": 1,\n"b": }\n', file="entry.json")
    assert caught.value.line == 3


_texts = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=20,
)


@given(_values)
def test_plain_json_reads_as_the_standard_library_reads_it(value: object) -> None:
    data = json.dumps(value).encode()
    assert parse_json(data) == json.loads(data)


@given(st.binary(max_size=60))
def test_no_bytes_cause_anything_but_invalid_input(data: bytes) -> None:
    with suppress(InvalidInput):
        parse_json(data)
