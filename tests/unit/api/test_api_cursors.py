"""Cursors are opaque, and of no use under other filters."""

import base64
import json

import pytest

from api.http.cursors import decode_cursor, encode_cursor
from api.http.problems import ApiProblem

FILTERS = {"book": "main", "account": None}


def test_a_cursor_leads_back_to_its_position():
    assert decode_cursor(encode_cursor(41, filters=FILTERS), filters=FILTERS, kind=int) == 41


def test_no_cursor_is_the_first_page():
    assert decode_cursor(None, filters=FILTERS, kind=int) is None


@pytest.mark.parametrize("cursor", ["", "x", "WzEsMl0", "é", "W10", "A" * 10_000, "WzEsImEiLCJiIl0"])
def test_a_foreign_cursor_is_refused_and_never_crashes(cursor):
    with pytest.raises(ApiProblem) as caught:
        decode_cursor(cursor, filters=FILTERS, kind=int)
    assert caught.value.status_code == 422


def test_a_cursor_made_under_other_filters_is_refused():
    cursor = encode_cursor(41, filters=FILTERS)
    with pytest.raises(ApiProblem, match="other filters"):
        decode_cursor(cursor, filters={"book": "other"}, kind=int)


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(ApiProblem):
        decode_cursor(encode_cursor("assets", filters=FILTERS), filters=FILTERS, kind=int)


@pytest.mark.parametrize(
    "respelled",
    [
        lambda cursor, _: cursor + "=",
        lambda cursor, _: cursor[:-1] + chr(ord(cursor[-1]) + 1),
        lambda _, made: made("[1, 41, {}]"),
        lambda _, made: made("[true,41,{}]"),
        lambda _, made: made("[1.0,41,{}]"),
        lambda _, made: made("[1,41,{}]\n"),
    ],
    ids=["padded", "bits of nothing", "blanks", "true for 1", "1.0 for 1", "a line's end"],
)
def test_a_cursor_has_one_spelling(respelled):
    given = encode_cursor(41, filters=FILTERS)
    digest = json.loads(base64.urlsafe_b64decode(given + "=="))[2]

    def made(text):
        return base64.urlsafe_b64encode(text.format(json.dumps(digest)).encode()).decode().rstrip("=")

    assert made("[1,41,{}]") == given
    with pytest.raises(ApiProblem, match="not one that this API gave out"):
        decode_cursor(respelled(given, made), filters=FILTERS, kind=int)
