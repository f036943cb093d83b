"""What the client sends again, with which key, and what it makes of refusals."""

import asyncio
import json
from datetime import UTC, datetime

import httpx2
import pytest

from ledger_core import errors
from ledger_core.client import AsyncLedgerClient, LedgerClient, Retries
from ledger_core.journal.entries import EntryDraft, PostingDraft

DRAFT = EntryDraft(
    effective_at=datetime(2026, 11, 22, 8, tzinfo=UTC),
    external_id="stripe:txn_1",
    description="charge ch_1",
    postings=(
        PostingDraft(account="assets:a", direction="debit", amount_minor=5, currency="USD"),
        PostingDraft(account="revenue:b", direction="credit", amount_minor=5, currency="USD"),
    ),
)
POSTED = {
    "id": "e-1",
    "seq": 3,
    "status": "posted",
    "hash": "00" * 32,
    "recorded_at": "2026-11-22T08:00:00.000001Z",
    "book": "main",
    "effective_at": "2026-11-22T08:00:00.000000Z",
    "external_id": "stripe:txn_1",
    "description": "charge ch_1",
    "postings": [{"account": "assets:a", "direction": "debit", "amount": "5", "currency": "USD"}],
    "metadata": {},
    "signature": {"checkpoint": "note", "inclusion": ["AA=="]},
}


class Script:
    """Answer request after request as scripted, and remember what came."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.slept = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer
        return httpx2.Response(status, json=body, headers=headers)

    def client(self, **options):
        given = {"transport": httpx2.MockTransport(self), "sleep": self.slept.append, "jitter": lambda: 0.0}
        return LedgerClient("http://ledger", **given, **options)

    @property
    def keys(self):
        return [request.headers["idempotency-key"] for request in self.requests]


def problem(status, code, headers=None, **more):
    return status, {"status": status, "code": code, "detail": "as scripted.", **more}, headers or {}


def test_a_lost_connection_is_repeated_with_the_same_key():
    script = Script(httpx2.ReadError("cut"), (201, POSTED, {"idempotent-replayed": "true"}))
    with script.client() as client:
        posted = client.post_entry(DRAFT)
    assert posted.replayed
    assert posted.draft.postings[0].amount_minor == 5
    assert len(set(script.keys)) == 1
    assert script.requests[0].content == script.requests[1].content


def test_two_posts_never_share_a_key():
    script = Script((201, POSTED, {}), (201, POSTED, {}))
    with script.client() as client:
        client.post_entry(DRAFT)
        client.post_entry(DRAFT)
    assert len(set(script.keys)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        problem(429, "too_many_requests", {"retry-after": "3"}),
        problem(503, "signature_late", {"retry-after": "3"}),
        problem(503, "dependency_unavailable", {"retry-after": "3"}),
        problem(409, "in_flight", {"retry-after": "3"}),
    ],
)
def test_what_may_pass_is_waited_for_as_long_as_the_ledger_asks(answer):
    script = Script(answer, (201, POSTED, {}))
    with script.client() as client:
        client.post_entry(DRAFT, key="k-1")
    assert script.slept == [3.0]
    assert script.keys == ["k-1", "k-1"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(422, "unbalanced_entry", errors=[{"pointer": "/postings", "detail": "off"}]), errors.UnbalancedEntry),
        (problem(409, "already_reversed"), errors.AlreadyReversed),
        (problem(422, "idempotency_key_reused"), errors.KeyReused),
        (problem(404, "not_found"), errors.NotFound),
        (problem(401, "unauthenticated"), errors.Unauthenticated),
        (problem(403, "not_allowed"), errors.NotAllowed),
        (problem(422, "a_code_of_the_future"), errors.Refused),
        (problem(400, "malformed_body"), errors.InvalidInput),
    ],
)
def test_a_refusal_is_raised_at_once_as_its_type(answer, kind):
    script = Script(answer)
    with script.client() as client, pytest.raises(kind) as caught:
        client.post_entry(DRAFT)
    assert len(script.requests) == 1
    assert caught.value.message == "as scripted."


def test_a_taken_external_id_says_whose_it_is():
    script = Script(problem(409, "duplicate_external_id", entry_id="e-9", identical=True))
    with script.client() as client, pytest.raises(errors.DuplicateExternalId) as caught:
        client.post_entry(DRAFT)
    assert (caught.value.entry_id, caught.value.identical) == ("e-9", True)


def test_a_change_without_a_key_is_not_repeated_blindly():
    script = Script(httpx2.ReadError("cut"))
    with script.client() as client, pytest.raises(errors.DependencyError):
        client.change_account("assets:a", status="frozen")
    assert len(script.requests) == 1


def test_a_request_that_never_left_may_be_repeated():
    script = Script(httpx2.ConnectError("refused"), problem(404, "not_found"))
    with script.client() as client, pytest.raises(errors.NotFound):
        client.change_account("assets:a", status="frozen")
    assert len(script.requests) == 2


def test_trying_ends():
    script = Script(*[httpx2.ReadError("cut")] * 3)
    with script.client(retries=Retries(attempts=3)) as client, pytest.raises(errors.DependencyError, match="lost"):
        client.post_entry(DRAFT)
    assert len(script.requests) == 3


def test_delays_double_up_to_a_ceiling():
    retries = Retries(first_delay_seconds=1, max_delay_seconds=5)
    assert [retries.delay_seconds(attempt, None, 1.0) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]


def test_something_that_is_not_the_ledger_is_named_so():
    script = Script()
    script.answers = [(200, None, {})]
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, text="<html>"))
    client = LedgerClient("http://ledger", transport=transport)
    with client, pytest.raises(errors.DependencyError, match="JSON"):
        client.latest_checkpoint()


def test_the_token_and_the_book_go_with_every_call():
    script = Script((201, POSTED, {}))
    with script.client(token="t-1", book="eu") as client:
        client.post_entry(DRAFT)
    assert script.requests[0].headers["authorization"] == "Bearer t-1"
    assert json.loads(script.requests[0].content)["book"] == "eu"


def test_the_async_client_repeats_as_the_other_does():
    script = Script(httpx2.ReadError("cut"), (201, POSTED, {}))

    async def post():
        async def sleep(seconds):
            script.slept.append(seconds)

        transport = httpx2.MockTransport(script)
        async with AsyncLedgerClient("http://ledger", transport=transport, sleep=sleep) as client:
            return await client.post_entry(DRAFT)

    assert asyncio.run(post()).id == "e-1"
    assert len(set(script.keys)) == 1


def test_both_clients_offer_the_same_calls():
    def public(kind):
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(LedgerClient) == public(AsyncLedgerClient)
