"""Whatever a query, a path, a header, a cursor or a body holds, the answer is a problem that says so: never a 500."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.http.cursors import _digest

CONTROL = bytes([*range(32), 127])
"""What no client library sends in a header."""
HEADERS = ("authorization", "x-request-id", "if-none-match", "accept", "if-match", "range", "accept-encoding", "host")
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

POSTS = (
    "/finance/journal-entries", "/finance/journal-entries/batch", "/finance/accounts", "/finance/records",
    "/finance/verify",
)  # fmt: skip
ODD = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "\0", "%00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "9" * 400, "-1", "1e999", "NaN",
            "0x10", "٣", "9223372036854775808", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
            "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", "../../etc/passwd", "' or 1=1 --", "{}", "[]", "null",
            "a" * 2000, "é" * 300, "\u202e", "\U0001f4a9", "main\n", "%", "%%%", "+", " ",
        ]
    ),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(), st.sampled_from([-(2**63) - 1, 2**63, 2**64, 10**30]), st.floats(), st.booleans(), st.none()
)


@pytest.fixture(scope="module")
def reads(api):
    """Every GET operation: its path and the names of its parameters."""
    with api.http() as client:
        document = client.get("/openapi.json").json()
    found = []
    for path, operations in sorted(document["paths"].items()):
        if "get" in operations:
            parameters = operations["get"].get("parameters", [])
            found.append((path, [each["name"] for each in parameters if each["in"] == "query"]))
    assert len(found) > 12
    return found


def expect_answered(answer) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.status_code, answer.text[:500])
    if answer.status_code >= 400:
        assert answer.json()["code"], answer.text[:200]


@QUICK
@given(data=st.data())
def test_any_path_and_query_is_answered(http, reads, data) -> None:
    path, names = data.draw(st.sampled_from(reads))
    while "{" in path:
        before, _, rest = path.partition("{")
        given_text = data.draw(ODD)
        path = before + quote(given_text.encode("utf-8", "surrogatepass"), safe="") + rest.partition("}")[2]
    chosen = data.draw(st.dictionaries(st.sampled_from([*names, "book", "nothing"]), ODD, max_size=4))
    query = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in chosen.items())
    expect_answered(http.get(f"{path}?{query}"))


@QUICK
@given(
    name=st.sampled_from(["authorization", "x-request-id", "if-none-match", "accept", "if-match", "range"]),
    data=st.data(),
)
def test_any_header_is_answered(http, reads, name: str, data) -> None:
    raw = data.draw(st.binary(max_size=60)).translate(None, delete=CONTROL).strip()
    path, _ = data.draw(st.sampled_from([each for each in reads if "{" not in each[0]]))
    answer = http.get(path, headers=[(name.encode(), raw)])
    assert answer.status_code < 500, (path, raw, answer.text[:300])


FILTERS = {
    "/finance/accounts": {"book": "main"},
    "/finance/journal-entries": {"book": "main"},
    "/finance/accounts/revenue:sales:usd/statement": {"book": "main", "code": "revenue:sales:usd"},
}
POSITIONS = st.one_of(
    ODD,
    NUMBERS,
    st.lists(NUMBERS, max_size=3),
    st.sampled_from(
        [
            "\ud800", "\udfff x", "2026-01-01T00:00:00Z 1 1", "2026-01-01T00:00:00.000000Z 99999999999999999999 1",
            "2026-01-01T00:00:00.000000Z 9223372036854775808 1", "2026-13-01T00:00:00.000000Z 1 1", "a b c", "  ",
            "2026-01-01T00:00:00.000000Z -1 1", "2026-01-01T00:00:00.000000Z 1 99999999999", "0000-01-01T00:00:00Z 1 1",
        ]
    ),
)  # fmt: skip


@QUICK
@given(path=st.sampled_from(sorted(FILTERS)), position=POSITIONS, version=st.sampled_from([1, 1, 1, 2, "1", None]))
def test_any_cursor_is_answered_also_one_with_the_right_digest(http, path: str, position, version) -> None:
    text = json.dumps([version, position, _digest(FILTERS[path])], separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    if len(cursor) <= 1024:
        expect_answered(http.get(path, params={"cursor": cursor}))


@pytest.mark.parametrize("text", ["[" * 700, '[1,"\\ud800","x"]', "[1,1e999,3]", "[1]", "{}", '"', "[1,[],{}]"])
def test_a_cursor_that_holds_odd_json_is_refused(http, text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    for path in FILTERS:
        assert http.get(path, params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize("depth", [65, 200, 254, 255, 1000, 100_000])
@pytest.mark.parametrize(
    "path",
    [
        "/finance/journal-entries",
        "/finance/journal-entries/batch",
        "/finance/accounts",
        "/finance/records",
        "/finance/verify",
    ],
)
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_a_body_nested_deeper_than_the_limit_is_a_400_on_every_route(
    http, key, path: str, depth: int, brackets: str
) -> None:
    opening, closing = ("[", "]") if brackets == "[]" else ('{"a":', "}")
    body = '{"entries":' + opening * depth + ("" if brackets == "[]" else "1") + closing * depth + "}"
    answer = http.post(path, content=body.encode(), headers={"content-type": "application/json", **key()})
    assert answer.status_code == 400, answer.text[:300]
    assert "64" in answer.json()["detail"]


def test_brackets_in_texts_are_no_depth(http, key, entry) -> None:
    answer = http.post("/finance/journal-entries", json=entry(description="[{" * 40), headers=key())
    assert answer.status_code == 201, answer.text


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, ODD, st.sampled_from(["1", "USD", "debit", "assets:x"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["entries", "postings", "metadata", "amount", "account", "selector", "kind", "body", "book", "code",
                     "effective_at", "external_id", "entry_ids", "seq_range", "first", "next", "segment"]
                ),
                ODD,
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@QUICK
@given(body=JSON, path=st.sampled_from([
    "/finance/journal-entries", "/finance/journal-entries/batch", "/finance/accounts", "/finance/records",
    "/finance/verify", "/finance/journal-entries/x/reversal",
]))  # fmt: skip
def test_any_json_body_is_answered(http, path: str, body) -> None:
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json", "idempotency-key": "fuzz" + str(hash(content))}
    expect_answered(http.post(path, content=content, headers=headers))


@QUICK
@given(content=st.binary(max_size=200), value=st.binary(min_size=1, max_size=300))
def test_any_bytes_as_body_and_key_are_answered(http, content: bytes, value: bytes) -> None:
    clean = value.translate(None, delete=CONTROL).strip() or b"k"
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", clean)]
    answer = http.post("/finance/journal-entries", content=content, headers=headers)
    assert answer.status_code < 500, (content, clean, answer.text[:300])
