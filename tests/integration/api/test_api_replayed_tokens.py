"""Tokens and idempotency keys given back cut, changed, doubled, in another book or by look-alikes: over raw sockets.

Each answer is typed and below 500, and none holds a word of the other book.
"""

from __future__ import annotations

import uuid

import pytest

from api.auth.development import issue_development_token

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"
BOOKS = ("main", "other")


def other_than(character: str) -> str:
    return "A" if character != "A" else "B"


# Who is calling.


def changed_tokens(token: str) -> dict[str, bytes]:
    """Everything that a token may become on its way, by what was done to it; none of it is the token."""
    head, payload, mac = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last character of 43 holds four bits of the signature and two of nothing.
    twin = alphabet[alphabet.index(mac[-1]) ^ 1]
    texts = {
        "in upper case": token.upper(),
        "in lower case": token.lower(),
        "swapped case": token.swapcase(),
        "twice": f"{token} {token}",
        "twice, listed": f"{token}, Bearer {token}",
        "quoted": f'"{token}"',
        "without signature": f"{head}.{payload}.",
        "without dots": token.replace(".", ""),
        "a part more": f"{token}.",
        "a part more, full": f"{token}.{mac}",
        "padded": f"{token}=",
        "begun by a dot": f".{token}",
        "the signature's unused bits": f"{head}.{payload}.{mac[:-1]}{twin}",
        "a stranger's character in the signature": f"{head}.{payload}.{mac[:5]}!{mac[5:]}",
        "a stranger's character at the end": f"{token}*",
        "a space in the signature": f"{head}.{payload}.{mac[:5]} {mac[5:]}",
        "other base64": f"{head}.{payload}.{mac.replace('-', '+').replace('_', '/')}+",
        "another's payload": f"{head}.{payload[:-2]}AA.{mac}",
        "longer than any": token + "A" * 5_000,
        "scheme alone": "",
        "a tab before it": f"\t{token}x",
    }
    found = {name: f"Bearer {text}".encode() for name, text in texts.items()}
    found |= {f"cut after {length}": f"Bearer {token[:length]}".encode() for length in range(1, len(token), 23)}
    for place in range(0, len(token), 19):
        changed = f"{token[:place]}{other_than(token[place])}{token[place + 1 :]}"
        found[f"character {place}"] = f"Bearer {changed}".encode()
    plain = token.encode()
    return found | {
        "no-break space before": b"Bearer \xa0" + plain,
        "no-break space after": b"Bearer " + plain + b"\xa0",
        "next line after": b"Bearer " + plain + b"\x85",
        "em space, in UTF-8": b"Bearer \xe2\x80\x83" + plain,
        "a Cyrillic e": "B\u0435arer ".encode() + plain,
        "fullwidth": b"Bearer " + "".join(chr(ord(each) + 0xFEE0) for each in token).encode(),
        "a tab for the space": b"Bearer\t" + plain,
        "no space": b"Bearer" + plain,
        "another scheme": b"Basic " + plain,
        "a comma": b"Bearer, " + plain,
        "an equals sign": b"Bearer=" + plain,
        "nothing": b"",
        "a parameter": b'Bearer token="' + plain + b'"',
    }


def test_a_token_that_is_not_byte_for_byte_the_one_that_was_issued_is_nobodys(wire):
    attacks = changed_tokens(wire.token)
    assert len(attacks) > 60
    for name, value in attacks.items():
        answer = wire.ask("GET", ENTRIES, b"authorization: " + value, token="")
        assert answer.status == 401, (name, answer.status, answer.content[:200])
        wire.refused(answer, 401, word_of="main")


def test_a_token_counts_however_its_scheme_is_spelled_and_nowhere_but_in_its_header(wire):
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        assert wire.ask("GET", ENTRIES, f"authorization: {scheme} {wire.token}", token="").status == 200
        assert wire.ask("GET", ENTRIES, f"Authorization:{scheme}   {wire.token}   ", token="").status == 200
    for place in (f"?access_token={wire.token}", f"?token={wire.token}", f"?authorization=Bearer%20{wire.token}"):
        wire.refused(wire.ask("GET", ENTRIES + place, token=""), 401, word_of="main")
    for header in ("cookie: token=", "x-authorization: Bearer ", "proxy-authorization: Bearer "):
        wire.refused(wire.ask("GET", ENTRIES, header + wire.token, token=""), 401, word_of="main")


@pytest.mark.parametrize("second", ["the same", "another", "nobody's", "empty"])
def test_two_tokens_are_no_token(wire, api, second):
    value = {"the same": wire.token, "another": api.token(subject="x"), "nobody's": "x", "empty": ""}[second]
    for first, then in ((wire.token, value), (value, wire.token)):
        lines = (f"Authorization: Bearer {first}", f"AUTHORIZATION: Bearer {then}")
        assert (
            wire.refused(wire.ask("GET", ENTRIES, *lines, token=""), 400, word_of="main").json["code"]
            == "malformed_request"
        )


def test_a_head_full_of_token_is_refused_before_it_is_read(wire):
    wire.refused(wire.ask("GET", ENTRIES, token=wire.token + "A" * 70_000), 431, word_of="main")


def test_the_parts_of_two_good_tokens_make_no_third(wire, api):
    weak = issue_development_token(api.settings, "weak", ["journal:read"], 3600)
    for mixed in (
        ".".join((*weak.split(".")[:1], wire.token.split(".")[1], weak.split(".")[2])),
        ".".join((*weak.split(".")[:2], wire.token.split(".")[2])),
    ):
        wire.refused(wire.ask("GET", ENTRIES, token=mixed), 401)
    sent = wire.draft("main", "weak:1")
    wire.refused(wire.ask("POST", ENTRIES, "idempotency-key: weak1", body=sent, token=weak), 403)


# Idempotency keys.


def test_a_key_in_another_book_is_another_key(wire):
    key = f"idempotency-key: {uuid.uuid4().hex}"
    answers = [wire.ask("POST", ENTRIES, key, body=wire.draft(book, "keyed")) for book in BOOKS]
    assert [answer.status for answer in answers] == [201, 201]
    assert "idempotent-replayed" not in answers[1].headers
    assert answers[0].json["id"] != answers[1].json["id"]
    assert b"word-of-main" not in answers[1].content
    for book, first in zip(BOOKS, answers, strict=True):
        again = wire.ask("POST", ENTRIES, key, body=wire.draft(book, "keyed"))
        assert (again.status, again.headers["idempotent-replayed"]) == (201, "true")
        assert again.json["id"] == first.json["id"]
    # The book named in the address, or in both places differently, changes nothing of that.
    moved = {name: value for name, value in wire.draft("main", "keyed").items() if name != "book"}
    wire.refused(wire.ask("POST", f"{ENTRIES}?book=other", key, body=moved), 422, word_of="other")
    wire.refused(wire.ask("POST", f"{ENTRIES}?book=other", key, body=wire.draft("main", "keyed")), 422, word_of="other")


def test_a_key_with_another_body_or_route_does_nothing(wire):
    key = f"idempotency-key: {uuid.uuid4().hex}"
    first = wire.ask("POST", ENTRIES, key, body=wire.draft("main", "key:1"))
    assert first.status == 201
    wire.refused(wire.ask("POST", ENTRIES, key, body=wire.draft("main", "key:2")), 422)
    assert wire.ask("GET", f"{ENTRIES}?external_id=key:2").json["entries"] == []
    wire.refused(
        wire.ask("POST", f"{ENTRIES}/{first.json['id']}/reversal?book=other", key, body={}), 404, word_of="main"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"a b",
        b"a\tb",
        b"a\xa0",
        b"\xa0a",
        b"\xc3\xa9",
        "\u0430".encode(),
        "ａ".encode(),
        "a\u200b".encode(),
        b"k" * 256,
        b"k" * 5_000,
        b"a\x7f",
        "\u202ea".encode(),
        b"a, b",
    ],
)
def test_a_key_of_other_than_visible_ascii_is_refused_and_nothing_is_posted(wire, value):
    name = f"key:{uuid.uuid4().hex}"
    wire.refused(
        wire.ask("POST", ENTRIES, b"idempotency-key: " + value, body=wire.draft("main", name)), 400, word_of="main"
    )
    wire.refused(
        wire.ask("POST", ENTRIES, "idempotency-key: k1", "Idempotency-Key: k1", body=wire.draft("main", name)), 400
    )
    assert wire.ask("GET", f"{ENTRIES}?external_id={name}").json["entries"] == []


def test_keys_that_differ_in_case_or_by_a_character_are_different_and_blanks_around_one_are_none(wire):
    key, name = f"Key-{uuid.uuid4().hex}", f"case:{uuid.uuid4().hex}"
    first = wire.ask("POST", ENTRIES, f"idempotency-key: {key}", body=wire.draft("main", name))
    around = wire.ask("POST", ENTRIES, f"Idempotency-Key:  \t{key}  ", body=wire.draft("main", name))
    assert (first.status, around.status) == (201, 201), around.content
    assert around.json["id"] == first.json["id"]
    for near in (key.upper(), key.lower(), key + ".", key[:-1], f"{key},{key}", f'"{key}"'):
        assert wire.refused(wire.ask("POST", ENTRIES, f"idempotency-key: {near}", body=wire.draft("main", name)), 409)
