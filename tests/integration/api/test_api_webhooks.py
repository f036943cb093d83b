"""Webhooks over HTTP: what is signed is stored once and answered; what is not is a problem, and leaves nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any
from zlib import crc32

import httpx2
import psycopg
import pytest
from sqlalchemy import text

from ingest.inbox.port import MAX_BODY_BYTES
from ingest.inbox.providers.adyen import signature_of
from ingest.inbox.providers.paypal.verify import PayPalVerifier
from ingest.inbox.secrets import add_secret
from tests.integration.api.conftest import Api
from tests.unit.inbox.paypal_host import NOW, Host
from tests.unit.inbox.paypal_host import headers as paypal_headers

pytestmark = pytest.mark.integration

SECRET, KEY, WEBHOOK = "whsec_of_the_tests_alone", "ab" * 32, "8PT597110X687430LKGECATA"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def hooks(api: Api) -> Api:
    folder = api.settings.webhooks_folder
    for provider, secret in (("stripe", SECRET), ("adyen", KEY), ("paypal", WEBHOOK)):
        add_secret(folder, provider, "default", secret, name="one")
    add_secret(folder, "stripe", "eu", SECRET, name="one")
    return api


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=30, trust_env=False) as client:
        yield client


def stripe_body(id: str, **more: Any) -> bytes:
    told = {"id": id, "object": "event", "type": "customer.created", "created": 1, "data": {"object": {"id": "cus_1"}}}
    return json.dumps({**told, **more}).encode()


def stripe_headers(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    moment = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return {**JSON, "stripe-signature": f"t={moment},v1={mac}"}


def adyen_body(reference: str, *, key: str = KEY, **changes: Any) -> bytes:
    item = {
        "pspReference": reference, "merchantAccountCode": "Shop", "merchantReference": "o-1", "eventCode": "CAPTURE",
        "success": "true", "amount": {"value": 100, "currency": "EUR"},
    }  # fmt: skip
    signed = {**item, "additionalData": {"hmacSignature": signature_of(item, bytes.fromhex(key))}, **changes}
    return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": signed}]}).encode()


def stored(api: Api) -> list[tuple[str, str, str]]:
    with api.runtime.engine.connect() as connection:
        rows = connection.execute(text("select provider, account, event_id from ops.webhook_inbox order by inbox_id"))
        return [tuple(row) for row in rows]


def problem(answer: httpx2.Response) -> tuple[int, str, str | None]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    told = answer.json()
    return answer.status_code, told["code"], told.get("reason")


def test_a_signed_delivery_is_stored_once_and_answered_each_time(hooks: Api, http: httpx2.Client) -> None:
    body = stripe_body("evt_1")
    for path in ("stripe", "stripe", "stripe/default"):
        answer = http.post(f"{hooks.url}/finance/webhooks/{path}", content=body, headers=stripe_headers(body))
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert stored(hooks)[-1:] == [("stripe", "default", "evt_1")]
    assert len([row for row in stored(hooks) if row[2] == "evt_1"]) == 1


def test_one_event_id_of_two_accounts_and_of_two_providers_is_two_events(hooks: Api, http: httpx2.Client) -> None:
    for path in ("stripe", "stripe/eu"):
        body = stripe_body("Shop:CAPTURE:psp2:true")
        assert http.post(f"{hooks.url}/finance/webhooks/{path}", content=body, headers=stripe_headers(body)).is_success
    assert http.post(f"{hooks.url}/finance/webhooks/adyen", content=adyen_body("psp2"), headers=JSON).is_success
    assert sorted(row[:2] for row in stored(hooks) if row[2] == "Shop:CAPTURE:psp2:true") == [
        ("adyen", "default"), ("stripe", "default"), ("stripe", "eu"),
    ]  # fmt: skip


def test_adyen_hears_what_it_wants_to_hear(hooks: Api, http: httpx2.Client) -> None:
    answer = http.post(f"{hooks.url}/finance/webhooks/adyen", content=adyen_body("psp3"), headers=JSON)
    assert (answer.status_code, answer.text) == (200, "[accepted]")
    assert answer.headers["content-type"].startswith("text/plain")


BODY = stripe_body("evt_refused")


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("stripe", BODY, JSON, (400, "delivery_refused", "signature")),
        ("stripe", BODY + b" ", lambda: stripe_headers(BODY), (400, "delivery_refused", "signature")),
        ("stripe", BODY, lambda: stripe_headers(BODY, secret="whsec_another"), (400, "delivery_refused", "signature")),
        ("stripe", BODY, lambda: stripe_headers(BODY, at=time.time() - 400), (400, "delivery_refused", "stale")),
        ("stripe", BODY, lambda: stripe_headers(BODY, at=time.time() + 400), (400, "delivery_refused", "future")),
        ("stripe", b"{}", lambda: stripe_headers(b"{}"), (400, "delivery_refused", "malformed")),
        ("stripe/nobody", BODY, lambda: stripe_headers(BODY), (400, "delivery_refused", "unknown_account")),
        ("braintree", BODY, lambda: stripe_headers(BODY), (400, "delivery_refused", "unknown_account")),
        ("paypal/eu", BODY, lambda: stripe_headers(BODY), (400, "delivery_refused", "unknown_account")),
        ("port", BODY, JSON, (400, "delivery_refused", "unknown_account")),
        ("stripe", BODY, lambda: {**stripe_headers(BODY), "content-type": "text/plain"},
         (415, "unsupported_media_type", None)),
        ("stripe", BODY, lambda: {**stripe_headers(BODY), "content-encoding": "gzip"},
         (415, "unsupported_media_type", None)),
        ("stripe", b"x" * (MAX_BODY_BYTES + 1), JSON, (413, "body_too_large", None)),
        ("adyen", adyen_body("x", key="cd" * 32), JSON, (400, "delivery_refused", "signature")),
        ("adyen", adyen_body("x", success="false"), JSON, (400, "delivery_refused", "signature")),
        ("adyen", b"{}", JSON, (400, "delivery_refused", "malformed")),
        ("adyen", b"x" * (MAX_BODY_BYTES + 1), JSON, (413, "body_too_large", None)),
        ("paypal", BODY, JSON, (400, "delivery_refused", "signature")),
    ],
)  # fmt: skip
def test_what_is_refused_is_a_problem_and_leaves_nothing_behind(
    hooks: Api, http: httpx2.Client, path: str, body: bytes, headers: Any, expected: tuple[int, str, str | None]
) -> None:
    before = stored(hooks)
    given = headers() if callable(headers) else headers
    answer = http.post(f"{hooks.url}/finance/webhooks/{path}", content=body, headers=given)
    assert problem(answer) == expected
    assert stored(hooks) == before


def test_a_body_of_the_greatest_size_is_taken(hooks: Api, http: httpx2.Client) -> None:
    bare = len(stripe_body("evt_large", description=""))
    body = stripe_body("evt_large", description="x" * (MAX_BODY_BYTES - bare))
    assert len(body) == MAX_BODY_BYTES
    assert http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=stripe_headers(body)).is_success


def test_a_header_that_is_there_twice_signs_nothing(hooks: Api, http: httpx2.Client) -> None:
    body = stripe_body("evt_twice")
    given = [*JSON.items(), *[("stripe-signature", stripe_headers(body)["stripe-signature"])] * 2]
    answer = http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=given)
    assert problem(answer) == (400, "delivery_refused", "signature")


@pytest.fixture
def paypal(hooks: Api, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Host:
    """PayPal at an authority of the tests, at the time of the tests."""
    host = Host(tmp_path)
    place = hooks.settings.webhooks_folder / "paypal" / "default"
    (place / "authorities.pem").write_bytes(host.authorities.read_bytes())
    hooks.app.state.api.receiver.use_verifier("paypal", PayPalVerifier(host.certificates))
    monkeypatch.setattr("ingest.inbox.accounts.LOOK_SECONDS", 0.0)
    monkeypatch.setattr(hooks.runtime, "clock", lambda: NOW)
    return host


def paypal_body(id: str, **more: Any) -> bytes:
    return json.dumps({"id": id, "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"id": "r"}, **more}).encode()


def test_a_transmission_of_paypals_is_taken_once_and_its_id_for_no_other_body(
    hooks: Api, http: httpx2.Client, paypal: Host
) -> None:
    url, body = f"{hooks.url}/finance/webhooks/paypal", paypal_body("WH-1")
    for _ in range(2):
        answer = http.post(url, content=body, headers={**JSON, **paypal_headers(body)})
        assert answer.status_code == 200, answer.text
    assert [row for row in stored(hooks) if row[0] == "paypal"] == [("paypal", "default", "WH-1")]
    # A CRC-32 is no digest: four bytes give any body the sum of another.
    forged = same_sum(paypal_body("WH-2", resource={"id": "r", "amount": "999"}), body)
    answer = http.post(url, content=forged, headers={**JSON, **paypal_headers(body)})
    assert problem(answer) == (400, "delivery_refused", "replayed")
    assert [row for row in stored(hooks) if row[0] == "paypal"] == [("paypal", "default", "WH-1")]


@pytest.mark.parametrize(("seconds", "reason"), [(-400, "stale"), (400, "future")])
def test_a_transmission_of_another_time_is_refused(
    hooks: Api, http: httpx2.Client, paypal: Host, seconds: float, reason: str
) -> None:
    body, before = paypal_body("WH-3"), stored(hooks)
    given = paypal_headers(body, sent_at=NOW + timedelta(seconds=seconds), id="other")
    answer = http.post(f"{hooks.url}/finance/webhooks/paypal", content=body, headers={**JSON, **given})
    assert (problem(answer), stored(hooks)) == ((400, "delivery_refused", reason), before)


def same_sum(body: bytes, other: bytes) -> bytes:
    """Return `body` with a trailing member that gives it the CRC-32 of `other`, as whoever forges would."""
    wanted = crc32(other)
    # CRC-32 is linear: which of these single bits of printable characters make up the difference?
    template = bytearray(body[:-1] + b',"z":"' + b"@" * 64 + b'"}')
    start = len(body) - 1 + len(b',"z":"')
    base = crc32(bytes(template))
    effects = []
    for place, bit in product(range(64), (1, 2, 4)):
        changed = bytearray(template)
        changed[start + place] ^= bit
        effects.append((crc32(bytes(changed)) ^ base, place, bit))
    chosen = _solve([effect for effect, _, _ in effects], wanted ^ base)
    for index in chosen:
        template[start + effects[index][1]] ^= effects[index][2]
    made = bytes(template)
    assert crc32(made) == wanted
    return made


def _solve(effects: list[int], wanted: int) -> list[int]:
    """Return which of `effects` are `wanted` together, by elimination over single bits."""
    basis: dict[int, tuple[int, frozenset[int]]] = {}
    for index, effect in enumerate(effects):
        value, used = effect, frozenset({index})
        while value:
            top = value.bit_length()
            if top not in basis:
                basis[top] = (value, used)
                break
            value, used = value ^ basis[top][0], used ^ basis[top][1]
    used = frozenset()
    while wanted:
        value, more = basis[wanted.bit_length()]
        wanted, used = wanted ^ value, used ^ more
    return sorted(used)


def test_the_trace_of_a_delivery_is_kept(hooks: Api, http: httpx2.Client) -> None:
    body = stripe_body("evt_trace")
    given = {**stripe_headers(body), "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    assert http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=given).is_success
    with hooks.runtime.engine.connect() as connection:
        found = connection.execute(text("select trace_id from ops.webhook_inbox where event_id = 'evt_trace'"))
        assert found.scalar_one() == "ab" * 16


def test_what_was_taken_and_refused_is_counted(hooks: Api, http: httpx2.Client) -> None:
    body = stripe_body("evt_counted")
    for _ in range(3):
        http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=stripe_headers(body))
    http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=JSON)
    http.post(f"{hooks.url}/finance/webhooks/{'x' * 40}", content=body, headers=JSON)
    told = http.get(f"{hooks.url}/metrics").text
    assert 'counterfoil_webhook_received_total{outcome="known",provider="stripe"}' in told
    assert 'counterfoil_webhook_refused_total{provider="stripe",reason="signature"}' in told
    assert 'counterfoil_webhook_refused_total{provider="unknown",reason="unknown_account"}' in told
    assert "x" * 40 not in told


def test_a_database_that_is_away_is_a_503_and_the_provider_comes_again(
    hooks: Api, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise psycopg.OperationalError("the connection is lost")

    body = stripe_body("evt_away")
    with monkeypatch.context() as patch:
        patch.setattr(hooks.app.state.api.receiver, "_store", away)
        answer = http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=stripe_headers(body))
        assert problem(answer)[:2] == (503, "dependency_unavailable")
        assert answer.headers["retry-after"]
    assert http.post(f"{hooks.url}/finance/webhooks/stripe", content=body, headers=stripe_headers(body)).is_success


def test_the_contract_names_both_routes_and_wants_no_token(hooks: Api, http: httpx2.Client) -> None:
    document = http.get(f"{hooks.url}/openapi.json").json()
    for path in ("/finance/webhooks/{provider}", "/finance/webhooks/{provider}/{account}"):
        operation = document["paths"][path]["post"]
        assert "security" not in operation
        assert sorted(operation["responses"]) == ["200", "400", "413", "415", "429", "503"]
