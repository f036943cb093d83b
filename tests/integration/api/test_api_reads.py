"""Reading over HTTP: pages, accounts with their versions, bi-temporal balances, statements."""

import uuid

import pytest

pytestmark = pytest.mark.integration

ENTRIES, ACCOUNTS = "/finance/journal-entries", "/finance/accounts"
CLEARING, SALES = "assets:psp:stripe:clearing:usd", "revenue:sales:usd"


@pytest.fixture
def posted(http, entry, key):
    """Post new entries and return what was answered."""

    def post(count=1, **members):
        drafts = [entry(**members) for _ in range(count)]
        answer = http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=key()).json()
        return [item["entry"] for item in answer["results"]]

    return post


@pytest.fixture
def account(http, key):
    """Open a new account and return the answer."""

    def open_(kind="asset", **members):
        body = {"code": f"{kind}s:{uuid.uuid4().hex[:8]}", "type": kind, "currency": "USD", **members}
        answer = http.post(ACCOUNTS, json=body, headers=key())
        assert answer.status_code == 201, answer.text
        return answer

    return open_


def transfer(debit, credit, amount, **members):
    sides = (("debit", debit), ("credit", credit))
    return {
        "effective_at": "2026-11-22T08:00:00Z",
        "external_id": uuid.uuid4().hex,
        "description": "transfer",
        "postings": [
            {"account": account, "direction": side, "amount": str(amount), "currency": "USD"} for side, account in sides
        ],
        **members,
    }


def test_pages_lead_through_every_entry_once_and_survive_new_ones(http, posted, key, entry):
    made = [item["id"] for item in posted(7)]
    seen, cursor = [], None
    while True:
        given = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = http.get(ENTRIES, params=given)
        page = answer.json()
        seen += [item["id"] for item in page["entries"]]
        posted(1)
        if cursor is None:
            assert answer.headers["link"].endswith('rel="next"')
            following = answer.headers["link"].partition("<")[2].partition(">")[0]
            assert http.get(following).json()["entries"]
        cursor = page["next_cursor"]
        if cursor is None or made[-1] in seen:
            break
    assert len(seen) == len(set(seen))
    assert [item for item in seen if item in set(made)] == made


def test_entries_are_found_by_account_by_time_and_by_external_id(http, posted, account, key):
    code = account().json()["code"]
    draft = transfer(code, SALES, 5, effective_at="2026-01-31T23:59:59.999999Z")
    made = http.post(ENTRIES, json=draft, headers=key()).json()
    assert [item["id"] for item in http.get(ENTRIES, params={"account": code}).json()["entries"]] == [made["id"]]
    found = http.get(ENTRIES, params={"external_id": draft["external_id"]}).json()["entries"]
    assert [item["id"] for item in found] == [made["id"]]
    january = {"effective_from": "2026-01-01T00:00:00Z", "effective_before": "2026-02-01T00:00:00+00:00"}
    assert made["id"] in [item["id"] for item in http.get(ENTRIES, params=january).json()["entries"]]
    before = {"account": code, "effective_before": "2026-01-31T00:00:00Z"}
    assert http.get(ENTRIES, params=before).json()["entries"] == []


def test_one_entry_is_read_by_id_and_says_how_far_the_signature_reaches(http, posted):
    made = posted()[0]
    answer = http.get(f"{ENTRIES}/{made['id']}")
    assert answer.json() == made
    assert answer.headers["etag"] == f'"{made["hash"]}"'
    state = http.get(ENTRIES, params={"limit": 1}).json()["state"]
    assert made["seq"] < state["signed_size"] <= state["as_of_seq"]


def test_a_cursor_of_other_filters_is_refused(http, posted):
    posted(2)
    cursor = http.get(ENTRIES, params={"limit": 1}).json()["next_cursor"]
    answer = http.get(ENTRIES, params={"limit": 1, "cursor": cursor, "account": SALES})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "cursor")


def test_an_account_is_opened_once(http, account, key):
    headers = key()
    body = {"code": f"assets:{uuid.uuid4().hex}", "type": "asset", "currency": "JPY", "metadata": {"b": "1", "a": "2"}}
    first = http.post(ACCOUNTS, json=body, headers=headers)
    assert (first.status_code, first.headers["location"]) == (201, f"{ACCOUNTS}/{body['code']}")
    again = http.post(ACCOUNTS, json=body, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    same = http.post(ACCOUNTS, json=body, headers=key())
    assert (same.status_code, same.json()) == (200, first.json())
    other = http.post(ACCOUNTS, json={**body, "overdraft": "forbidden"}, headers=key())
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert http.get(f"{ACCOUNTS}/{body['code']}").json() == first.json()


def test_a_change_needs_the_version_that_was_read(http, account):
    opened = account()
    path = f"{ACCOUNTS}/{opened.json()['code']}"
    frozen = http.patch(path, json={"status": "frozen"}, headers={"if-match": opened.headers["etag"]})
    assert (frozen.status_code, frozen.json()["status"]) == (200, "frozen")
    assert frozen.headers["etag"] != opened.headers["etag"]
    stale = http.patch(path, json={"status": "open"}, headers={"if-match": opened.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert stale.json()["current"] == frozen.headers["etag"]
    assert http.get(path).headers["etag"] == frozen.headers["etag"]


def test_a_frozen_account_takes_no_posting(http, account, key):
    code = account().json()["code"]
    http.patch(f"{ACCOUNTS}/{code}", json={"status": "frozen"})
    answer = http.post(ENTRIES, json=transfer(code, SALES, 5), headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "account_not_open")


def test_changing_an_account_that_does_not_exist_is_not_found(http):
    assert http.patch(f"{ACCOUNTS}/assets:nowhere", json={"status": "frozen"}).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({}, ""),
        ({"status": "asleep"}, "/status"),
        ({"type": "asset"}, "/type"),
        ({"overdraft": 5}, "/overdraft"),
        ({"metadata": {"A": "1"}}, "/metadata/A"),
    ],
)
def test_a_change_that_is_none_names_the_culprit(http, change, pointer):
    answer = http.patch(f"{ACCOUNTS}/{SALES}", json=change)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_accounts_come_in_pages_by_code(http, account):
    for _ in range(4):
        account()
    seen, cursor = [], None
    while True:
        page = http.get(ACCOUNTS, params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["code"] for item in page["accounts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) >= 9


def test_a_balance_is_as_of_business_time_and_as_known_then(http, account, key):
    code = account().json()["code"]
    early = http.post(ENTRIES, json=transfer(code, SALES, 100), headers=key()).json()
    late = transfer(code, SALES, 7, effective_at="2026-11-20T08:00:00Z")
    http.post(ENTRIES, json=late, headers=key())

    def balance(**params):
        return http.get(f"{ACCOUNTS}/{code}/balance", params=params).json()["balance"]

    assert balance() == "107"
    assert balance(effective_at="2026-11-21T00:00:00Z") == "7"
    assert balance(known_at=early["recorded_at"]) == "100"
    assert balance(known_at=early["recorded_at"], effective_at="2026-11-21T00:00:00Z") == "0"


def test_a_statement_runs_from_page_to_page(http, account, key):
    code = account().json()["code"]
    drafts = [transfer(code, SALES, amount, effective_at=f"2026-11-{20 - amount:02}T00:00:00Z") for amount in (1, 2, 3)]
    http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=key())
    first = http.get(f"{ACCOUNTS}/{code}/statement", params={"limit": 2}).json()
    assert [(line["amount"], line["balance"]) for line in first["lines"]] == [("3", "3"), ("2", "5")]
    second = http.get(f"{ACCOUNTS}/{code}/statement", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert (first["opening_balance"], second["opening_balance"], second["closing_balance"]) == ("0", "5", "6")
    assert second["next_cursor"] is None


def test_the_trial_balance_balances(http, posted):
    posted(3)
    found = http.get("/finance/trial-balance").json()
    assert found["balanced"] is True
    assert all(total["debits"] == total["credits"] for total in found["totals"])
    assert CLEARING in [line["account"] for line in found["lines"]]


@pytest.mark.parametrize(
    "path",
    [
        f"{ENTRIES}/01a20a78-1102-7e41-b39f-1104e48e2468",
        f"{ENTRIES}/01a20a78-1102-7e41-b39f-1104e48e2468/proof",
        f"{ACCOUNTS}/assets:nowhere",
        f"{ACCOUNTS}/assets:nowhere/balance",
        f"{ACCOUNTS}/assets:nowhere/statement",
        f"{ENTRIES}?book=nowhere",
        f"{ACCOUNTS}?book=nowhere",
        f"{ACCOUNTS}/{SALES}/balance?book=nowhere",
        "/finance/trial-balance?book=nowhere",
        "/finance/checkpoints/latest?book=nowhere",
        "/finance/checkpoints/1/consistency/99999999",
        "/finance/log/nowhere/checkpoint",
        "/finance/log/main/tile/0/999",
        "/finance/log/main/tile/what/ever",
        "/finance/nothing",
    ],
)
def test_what_does_not_exist_is_not_found(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path",
    [
        f"{ENTRIES}?limit=0",
        f"{ENTRIES}?limit=501",
        f"{ENTRIES}?limit=x",
        f"{ENTRIES}?effective_from=yesterday",
        f"{ENTRIES}?effective_from=2026-11-22T08:00:00",
        f"{ENTRIES}?cursor=AAAA",
        f"{ENTRIES}?account=a%00b",
        f"{ACCOUNTS}/a%00b",
        f"{ACCOUNTS}/{SALES}/balance?known_at=2026-13-01T00:00:00Z",
        "/finance/checkpoints/-1/consistency/2",
        "/finance/checkpoints/3/consistency/2",
    ],
)
def test_a_parameter_that_is_none_is_refused(http, path):
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
