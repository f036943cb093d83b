"""The canonical profile: one form, everything else refused with a pointer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ledger_core.errors import NotCanonical
from ledger_core.log import canonical
from ledger_core.log.canonical import canonical_bytes, parse_strict

# RFC 8785 section 3.2.2: the string of the sample, as parsed and as it must come out.
RFC_TEXT = '€$\x0f\nA\'B"\\\\"/'
RFC_BYTES = b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


@pytest.fixture(params=["orjson", "json"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to serialise: with orjson, and as the verifier does without it."""
    if request.param == "json":
        monkeypatch.setattr(canonical, "orjson", None)
    return str(request.param)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (RFC_TEXT, RFC_BYTES),
        ({"b": 1, "a": [True, False, None]}, b'{"a":[true,false,null],"b":1}'),
        ({"a_1": "", "a1": {}, "a": []}, b'{"a":[],"a1":{},"a_1":""}'),
        (2**53 - 1, b"9007199254740991"),
        (-(2**53) + 1, b"-9007199254740991"),
        ("\x7f\u2028\U0001f600", '"\x7f\u2028\U0001f600"'.encode()),
        ("\b\t\n\f\r\x1f", b'"\\b\\t\\n\\f\\r\\u001f"'),
        ((1, 2), b"[1,2]"),
    ],
)
def test_a_value_has_one_form_and_comes_back_from_it(library: str, value: Any, data: bytes) -> None:
    assert canonical_bytes(value) == data
    assert parse_strict(data) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (1.5, ""),
        (float("nan"), ""),
        ({"a": {"b": [1, 2.0]}}, "/a/b/1"),
        ({"a": 2**53}, "/a"),
        ({"Upper": 1}, ""),
        ({"a": {"": 1}}, "/a"),
        ({"a\nb": 1}, ""),
        ({"k" * 65: 1}, ""),
        ({1: 2}, ""),
        ({"a": "x\0y"}, "/a"),
        ({"a": ["e\u0301"]}, "/a/0"),
        ({"a": "\ud800"}, "/a"),
        ({"a": b"bytes"}, "/a"),
        ({"a": UUID(int=1)}, "/a"),
        ({"a": {1, 2}}, "/a"),
    ],
)
def test_a_value_outside_the_profile_is_refused_with_its_pointer(library: str, value: Any, pointer: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical_bytes(value)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"b":1,"a":2}',
        b'{"a":1.0}',
        b'{"a":1.5}',
        b'{"a":1e2}',
        b"-0",
        b"01",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"e\xcc\x81"',
        b'{"A":1}',
        b"'a'",
        b"[1,]",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
    ],
)
def test_bytes_that_are_not_the_one_form_are_refused(library: str, data: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse_strict(data)


def test_an_escaped_backslash_before_u0000_is_no_u0000(library: str) -> None:
    assert parse_strict(b'"\\\\u0000"') == "\\u0000"


def test_nesting_beyond_the_limit_is_refused() -> None:
    value: Any = 1
    for _ in range(canonical.MAX_DEPTH):
        value = [value]
    assert canonical_bytes(value)
    with pytest.raises(NotCanonical, match="nested deeper"):
        canonical_bytes([value])
