"""Whose signature counts: known answers of each provider, and everything that is nearly one."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.payloads import Sealing, fingerprint
from ingest.inbox.port import SKEW_SECONDS, Accepted, Delivery, Event, Ignore
from ingest.inbox.providers import find_provider, provider_names
from ingest.inbox.providers.adyen import AdyenVerifier, signature_of, signed_text
from ingest.inbox.providers.stripe.verify import StripeVerifier
from ledger_core.errors import DeliveryRefused, InvalidInput

VECTOR_SECRET, VECTOR_TIME = "whsec_test_secret", 1_700_000_000
VECTOR_BODY = b'{"id":"evt_test_1","object":"event"}'
VECTOR_MAC = "29ab30b7065c11b28e53ac114fac5d6c492ed811a12d11ed2c2aad5bb4cf9809"
BODY = json.dumps(
    {"id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1, "data": {"object": {"id": "ch_1"}}}
).encode()


def account(provider: str, *secrets: str, **more: Any) -> ProviderAccount:
    return ProviderAccount(provider=provider, account="default", folder=Path("unread"), secrets=secrets, **more)


def mac(secret: str, body: bytes = BODY, at: int = VECTOR_TIME) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()


def stripe(
    header: str | None, body: bytes = BODY, *, late: float = 0.0, secrets: tuple[str, ...] = ("whsec_a",)
) -> Any:
    at = datetime.fromtimestamp(VECTOR_TIME, UTC) + timedelta(seconds=late)
    headers = {} if header is None else {"stripe-signature": header}
    return StripeVerifier().verify(Delivery(headers=headers, body=body, at=at), account("stripe", *secrets))


def reason(header: str | None, **more: Any) -> str:
    with pytest.raises(DeliveryRefused) as caught:
        stripe(header, **more)
    return caught.value.reason


def test_stripes_known_answer_is_taken_for_its_secret_and_no_other() -> None:
    header = f"t={VECTOR_TIME},v1={VECTOR_MAC}"
    # Its signature holds; that it names no type of event is another matter.
    assert reason(header, body=VECTOR_BODY, secrets=(VECTOR_SECRET,)) == "malformed"
    assert reason(header, body=VECTOR_BODY, secrets=("whsec_another",)) == "signature"
    assert mac(VECTOR_SECRET, VECTOR_BODY) == VECTOR_MAC


def test_what_stripe_signed_is_an_event() -> None:
    accepted: Accepted = stripe(f"t={VECTOR_TIME},v1={mac('whsec_a')}")
    (event,) = accepted.events
    assert (event.event_id, event.type, event.object_id, event.version) == ("evt_1", "charge.succeeded", "ch_1", 1)
    assert event.told == {"id": "ch_1"}


def test_during_a_roll_either_secret_counts_and_either_signature() -> None:
    old, new = mac("whsec_old"), mac("whsec_new")
    both = f"t={VECTOR_TIME},v1={old},v1={new}"
    for header, secrets in (
        (f"t={VECTOR_TIME},v1={new}", ("whsec_old", "whsec_new")),
        (both, ("whsec_old",)),
        (both, ("whsec_new",)),
        (f"t={VECTOR_TIME},v0=ab,v1={old}", ("whsec_new", "whsec_old")),
    ):
        assert stripe(header, secrets=secrets).events


@pytest.mark.parametrize(
    "header",
    [
        None, "", "v1=", f"t={VECTOR_TIME}", f"t={VECTOR_TIME},v1=", f"t={VECTOR_TIME},v0={mac('whsec_a')}",
        f"t={VECTOR_TIME},v1={mac('whsec_a').upper()}", f"t={VECTOR_TIME + 1},v1={mac('whsec_a')}",
        f"t={VECTOR_TIME},t={VECTOR_TIME},v1={mac('whsec_a')}", f"t=+{VECTOR_TIME},v1={mac('whsec_a')}",
        f"t={VECTOR_TIME},v1={mac('whsec_a', BODY + b' ')}", f"t={VECTOR_TIME},v1={mac('whsec_a')}" + ",v1=0" * 2_000,
        f"t={VECTOR_TIME},v1=é",
    ],
)  # fmt: skip
def test_what_is_nearly_a_signature_of_stripes_is_none(header: str | None) -> None:
    assert reason(header) == "signature"


def test_bytes_that_are_no_text_are_signed_by_nobody() -> None:
    assert reason(f"t={VECTOR_TIME},v1={'0' * 64}", body=b"\xff\xfe") == "signature"


def test_a_signature_counts_for_five_minutes_and_not_from_the_future() -> None:
    header = f"t={VECTOR_TIME},v1={mac('whsec_a')}"
    assert stripe(header, late=300).events
    assert reason(header, late=301) == "stale"
    assert stripe(header, late=-SKEW_SECONDS).events
    assert reason(header, late=-SKEW_SECONDS - 1) == "future"
    ahead = VECTOR_TIME + 10**9
    assert reason(f"t={ahead},v1={mac('whsec_a', at=ahead)}") == "future"


def test_an_account_may_be_stricter() -> None:
    at = datetime.fromtimestamp(VECTOR_TIME + 20, UTC)
    given = Delivery(headers={"stripe-signature": f"t={VECTOR_TIME},v1={mac('whsec_a')}"}, body=BODY, at=at)
    with pytest.raises(DeliveryRefused, match="20 s ago, and 10 are let pass"):
        StripeVerifier().verify(given, account("stripe", "whsec_a", tolerance_seconds=10))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"id":"e","id":"f","type":"x"}', b'{"id":1,"type":"x"}', b'{"id":"","type":"x"}',
        b'{"id":"e"}', b'{"id":"e","type":"x","n":NaN}', b'{"id":"e\\u0000","type":"x"}',
        b'{"id":"' + b"e" * 256 + b'"}',
        b"[" * 100_000, b'{"id":"e","type":"x","a":' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"id":"e","type":"x","note":"\\ud83d"}', b'{"id":"e","type":"x","\\udc00":1}',
        b'{"id":"e","type":"x","n":' + b"9" * 9_000 + b"e9999999999999999999}",
    ],
)  # fmt: skip
def test_what_is_signed_and_is_no_event_is_malformed(body: bytes) -> None:
    assert reason(f"t={VECTOR_TIME},v1={mac('whsec_a', body)}", body=body) == "malformed"


def test_what_is_odd_and_whole_is_an_event() -> None:
    body = json.dumps(
        {"id": "evt_1", "type": "x", "n": 10**40, "f": 1e-300, "t": "\U0001f600", "d": [[[[1]]]]}
    ).encode()
    (event,) = stripe(f"t={VECTOR_TIME},v1={mac('whsec_a', body)}", body=body).events
    sealed = Sealing(key_id=uuid.uuid4(), key=bytes(32)).seal(event.payload, whose="w")
    plain = AESGCM(bytes(32)).decrypt(sealed[:12], sealed[12:], b"w")
    assert json.loads(plain) == json.loads(body)
    assert fingerprint(event.told) == fingerprint(dict(reversed(event.told.items())))


def test_a_thin_event_and_an_object_without_an_id_are_facts_of_their_own() -> None:
    for told, object_id in (
        ({"object": "v2.core.event", "related_object": {"id": "acct_1"}}, "acct_1"),
        ({"object": "v2.core.event", "created": "2026-01-01T00:00:00Z"}, "evt_1"),
        ({"object": "event", "data": {"object": {"object": "balance"}}}, "evt_1"),
        ({"object": "event", "data": {"object": {"id": "a\0b"}}}, "evt_1"),
        ({"object": "event", "data": {"object": {"id": 7}}, "created": True}, "evt_1"),
    ):
        body = json.dumps({"id": "evt_1", "type": "x", **told}).encode()
        (event,) = stripe(f"t={VECTOR_TIME},v1={mac('whsec_a', body)}", body=body).events
        assert (event.object_id, event.version, event.occurred_at) == (object_id, 0, None)


ITEM = {
    "pspReference": "7914073381342284", "merchantAccountCode": "TestMerchant",
    "amount": {"value": 1130, "currency": "EUR"},
    "merchantReference": "TestPayment-1407325143704", "eventCode": "AUTHORISATION", "success": "true",
}  # fmt: skip
KNOWN = {
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
    "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00": "Ny9gS2veKo5E4w8/OL6xz1/wvT/hYkAXy1xNc/QvO4I=",
}
KEY = next(iter(KNOWN))


def adyen(*items: Any, keys: tuple[str, ...] = (KEY,), body: bytes | None = None) -> Accepted:
    wrapped = [{"NotificationRequestItem": item} for item in items]
    text = body if body is not None else json.dumps({"live": "false", "notificationItems": wrapped}).encode()
    return AdyenVerifier().verify(Delivery(headers={}, body=text, at=datetime.now(UTC)), account("adyen", *keys))


def signed(key: str = KEY, **changes: Any) -> dict[str, Any]:
    item = {**ITEM, **changes}
    return {**item, "additionalData": {"hmacSignature": signature_of(item, bytes.fromhex(key))}}


@pytest.mark.parametrize("key", KNOWN)
def test_adyens_known_answers(key: str) -> None:
    assert signature_of(ITEM, bytes.fromhex(key)) == KNOWN[key]
    accepted = adyen({**ITEM, "additionalData": {"hmacSignature": KNOWN[key]}}, keys=(key.lower(),))
    assert accepted.events[0].event_id == "TestMerchant:AUTHORISATION:7914073381342284:true"
    assert signed_text(ITEM) == b"7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true"


def test_each_item_of_a_delivery_is_judged_and_one_forged_refuses_all() -> None:
    other = signed(eventCode="REFUND", originalReference="1", success="false")
    events = adyen(signed(), other).events
    assert [(event.type, event.object_id) for event in events] == [
        ("AUTHORISATION", "7914073381342284"), ("REFUND.failed", "7914073381342284"),
    ]  # fmt: skip
    with pytest.raises(DeliveryRefused, match="item 1") as caught:
        adyen(signed(), {**other, "success": "true"})
    assert caught.value.reason == "signature"


@pytest.mark.parametrize(
    "changed",
    [
        {"pspReference": "1"}, {"originalReference": "1"}, {"merchantAccountCode": "Other"}, {"merchantReference": "x"},
        {"amount": {"value": 1131, "currency": "EUR"}}, {"amount": {"value": 1130, "currency": "USD"}},
        {"eventCode": "CAPTURE"}, {"success": "false"}, {"additionalData": {}}, {"additionalData": None},
        {"additionalData": {"hmacSignature": ""}}, {"additionalData": {"hmacSignature": 7}},
    ],
)  # fmt: skip
def test_each_of_the_eight_fields_is_proven(changed: dict[str, Any]) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        adyen({**signed(), **changed})
    assert caught.value.reason == "signature"


def test_what_is_not_among_the_eight_proves_nothing_and_is_only_news() -> None:
    (told,) = adyen({**signed(), "reason": "changed", "eventDate": "2026-01-02T00:00:00+01:00"}).events
    assert told.occurred_at == datetime(2026, 1, 1, 23, tzinfo=UTC)
    handler = find_provider("adyen").make_handler(account("adyen"))
    event = Event(provider="adyen", account="default", event_id="e", type="x", object_id="o", payload=told.payload)
    outcome = handler.handle(event)
    assert isinstance(outcome, Ignore)
    assert "settlement details report" in outcome.reason


def test_adyens_older_form_with_backslashes_counts_too_and_rolls_do() -> None:
    item = {**ITEM, "merchantReference": "a:b\\c"}
    older = signature_of(item, bytes.fromhex(KEY), escaped=True)
    assert older != signature_of(item, bytes.fromhex(KEY))
    assert adyen({**item, "additionalData": {"hmacSignature": older}}, keys=("00" * 32, KEY)).events


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"notificationItems":[]}', b'{"notificationItems":[{}]}', b'{"notificationItems":7}',
     json.dumps({"notificationItems": [{"NotificationRequestItem": signed()}] * 501}).encode(),
     json.dumps({"notificationItems": [{"NotificationRequestItem": {**signed(), "amount": {"value": 1.5}}}]}).encode()],
)  # fmt: skip
def test_a_delivery_of_adyens_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        adyen(body=body)
    assert caught.value.reason == "malformed"


def test_without_a_key_nothing_of_adyens_is_signed() -> None:
    for keys in ((), ("no hex",)):
        with pytest.raises(DeliveryRefused):
            adyen(signed(), keys=keys)


def test_every_provider_is_found_and_says_what_its_secrets_are() -> None:
    assert provider_names() == ("adyen", "paypal", "stripe")
    right = {"adyen": KEY, "paypal": "8PT597110X687430LKGECATA", "stripe": "whsec_0123456789"}
    for name in provider_names():
        provider = find_provider(name)
        assert provider.name == name
        assert provider.check_secret(right[name])
        assert not any(provider.check_secret(text) for text in ("", "whsec_", "x y", "sk_live_0123456789"))
    with pytest.raises(InvalidInput, match="adyen, paypal, stripe"):
        find_provider("port")


def test_adyen_hears_accepted() -> None:
    assert find_provider("adyen").reply.content == b"[accepted]"
