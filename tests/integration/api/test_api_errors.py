"""Whatever is sent, the answer is a problem that says what is wrong, and nothing is written."""

import json
import socket

import pytest

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"


def size_of(http):
    return http.get("/finance/checkpoints/latest").json()["size"]


def send(http, content, key, content_type="application/json", path=ENTRIES):
    headers = {**key(), "content-type": content_type}
    return http.post(path, content=content, headers=headers)


def valid(entry):
    return json.dumps(entry()).encode()


@pytest.mark.parametrize("path", [ENTRIES, f"{ENTRIES}/batch", "/finance/accounts", "/finance/records"])
def test_a_post_without_a_key_is_refused(http, entry, path):
    answer = http.post(path, json=entry())
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


@pytest.mark.parametrize("bad", ["a b", "k" * 256, "ké"])
def test_a_key_that_is_none_is_refused(http, entry, bad):
    answer = http.post(ENTRIES, json=entry(), headers=[("idempotency-key", bad.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


def test_a_truncated_body_is_refused(http, entry, key):
    before = size_of(http)
    body = valid(entry)
    for cut in (1, len(body) // 2, len(body) - 1):
        answer = send(http, body[:cut], key)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
        assert answer.json()["line"] == 1
    assert size_of(http) == before


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"", None),
        (b"   ", None),
        (b"[]", None),
        (b'"text"', None),
        (b"null", None),
        (b"\xff\xfe{}", None),
        (b'{"a": 1, "a": 2}', "/a"),
        (b'{"a": {"b": [1.5]}}', "/a/b/0"),
        (b'{"a": NaN}', None),
        (b'{"a": 1e3}', "/a"),
        (b'{"a": 9007199254740993}', "/a"),
        (b'{"a": "\\ud800"}', "/a"),
        (b'{"a": "\\u0000"}', "/a"),
        (b"[" * 100_000, None),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, None),
    ],
)
def test_what_is_not_one_strict_json_object_is_malformed(http, key, content, pointer):
    answer = send(http, content, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_another_content_type_is_refused(http, entry, key, content_type):
    answer = send(http, valid(entry), key, content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_content_type_with_a_charset_is_fine_if_it_is_that_of_json(http, entry, key):
    for charset in ("utf-8", '"UTF-8"'):
        assert send(http, valid(entry), key, f"application/json; charset={charset}").status_code == 201
    answer = send(http, valid(entry), key, "application/json; charset=utf-16")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "UTF-8" in answer.json()["remedy"]


def changed(entry, path, value):
    made = entry()
    *parents, last = path
    place = made
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        (("postings", 0, "amount"), 9680, "/postings/0/amount"),
        (("postings", 0, "amount"), "09", "/postings/0/amount"),
        (("postings", 0, "amount"), "+1", "/postings/0/amount"),
        (("postings", 0, "amount"), "-0", "/postings/0/amount"),
        (("postings", 0, "amount"), "1e3", "/postings/0/amount"),
        (("postings", 0, "amount"), "9" * 30, "/postings/0/amount"),
        (("postings", 1, "direction"), "left", "/postings/1/direction"),
        (("postings", 1, "currency"), "usd", "/postings/1/currency"),
        (("postings", 2, "account"), ..., "/postings/2/account"),
        (("postings", 2, "note"), "x", "/postings/2/note"),
        (("postings",), [], "/postings"),
        (("postings",), "none", "/postings"),
        (("effective_at",), "2026-11-22", "/effective_at"),
        (("effective_at",), ..., "/effective_at"),
        (("external_id",), "", "/external_id"),
        (("metadata", "order"), 17, "/metadata/order"),
        (("unknown",), 1, "/unknown"),
        (("reverses",), "not-an-id", "/reverses"),
        (("description",), "e\u0301", "/description"),
        (("description",), "x" * 70_000, "/description"),
        (("book",), 5, "/book"),
    ],
)
def test_a_wrong_member_is_named_by_its_pointer(http, entry, key, path, value, pointer):
    before = size_of(http)
    answer = http.post(ENTRIES, json=changed(entry, path, value), headers=key())
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert size_of(http) == before


def test_an_entry_that_does_not_balance_says_by_how_much(http, entry, key):
    answer = http.post(ENTRIES, json=changed(entry, ("postings", 0, "amount"), "1"), headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "unbalanced_entry")
    assert "USD" in answer.json()["detail"]


def test_a_huge_body_is_refused_before_it_is_read(api, http, key):
    headers = {**key(), "content-type": "application/json", "content-length": str(10**9)}
    token = api.token()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as raw:
        raw.sendall(f"POST {ENTRIES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{lines}\r\n".encode())
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


def test_a_huge_body_without_a_length_is_refused_while_it_is_read(http, key):
    def chunks():
        for _ in range(40):
            yield b" " * 65536

    answer = http.post(ENTRIES, content=chunks(), headers={**key(), "content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_connection_cut_within_the_body_leaves_nothing_and_harms_nobody(api, http, entry, key):
    before = size_of(http)
    body = valid(entry)
    head = (
        f"POST {ENTRIES} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: cut-1\r\n"
        f"authorization: Bearer {api.token()}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", api.port)) as raw:
            raw.sendall(head.encode() + body[: len(body) // 2])
    assert http.post(ENTRIES, json=entry(), headers=key()).status_code == 201
    assert size_of(http) == before + 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", "/finance/accounts", 405, "method_not_allowed"),
        ("PUT", "/finance/journal-entries", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/finance/journal-entries/", 404, "not_found"),
        ("POST", "/docs", 405, "method_not_allowed"),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(http, method, path, status, code):
    answer = http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"]


def test_the_callers_request_id_is_kept_when_it_is_a_sane_one(http):
    assert http.get("/nothing", headers={"x-request-id": "trace-0042"}).json()["request_id"] == "trace-0042"
    assert http.get("/nothing", headers={"x-request-id": "a b\t<script>"}).json()["request_id"] != "a b\t<script>"


def test_a_problems_type_says_what_it_means(http, entry):
    problem = http.post(ENTRIES, json=entry()).json()
    meaning = http.get(problem["type"]).json()
    assert (meaning["code"], meaning["title"]) == (problem["code"], problem["title"])


def test_without_a_token_nobody_gets_in(api, entry, key):
    import httpx2

    with httpx2.Client(base_url=api.url, trust_env=False) as stranger:
        for answer in (
            stranger.get("/finance/accounts"),
            stranger.post(ENTRIES, json=entry(), headers=key()),
            stranger.get("/finance/keys", headers={"authorization": "Bearer x.y.z"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for open_path in ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json"):
            assert stranger.get(open_path).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("journal:read", "POST", ENTRIES),
        ("journal:read", "POST", f"{ENTRIES}/batch"),
        ("journal:read", "POST", "/finance/accounts"),
        ("journal:read", "PATCH", "/finance/accounts/revenue:sales:usd"),
        ("journal:read", "POST", "/finance/records"),
        ("journal:write", "GET", ENTRIES),
        ("export:read", "GET", ENTRIES),
        ("journal:write", "GET", "/finance/trial-balance"),
        ("journal:write", "POST", "/finance/verify"),
        ("reconciliation:read", "GET", "/finance/keys"),
    ],
)
def test_a_token_without_the_scope_is_forbidden(api, key, scope, method, path):
    with api.http(scope) as http:
        answer = http.request(method, path, json={}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert answer.json()["needed"]


def test_a_record_needs_the_scope_of_its_kind(api, key):
    with api.http("reconciliation:run") as http:
        run = {"kind": "reconciliation_run", "body": {"manifest": {"run_id": "r-1"}}}
        headers = key()
        answer = http.post("/finance/records", json=run, headers=headers)
        assert answer.status_code == 201, answer.text
        again = http.post("/finance/records", json=run, headers=headers)
        assert again.content == answer.content
        assert again.headers["idempotent-replayed"] == "true"
        event = {"kind": "security_event", "body": {"event": "x"}}
        assert http.post("/finance/records", json=event, headers=key()).status_code == 403
        for bad in ({"kind": "journal_entry", "body": {}}, {"kind": "export", "body": []}, {"kind": 5, "body": {}}):
            assert http.post("/finance/records", json=bad, headers=key()).status_code == 422
