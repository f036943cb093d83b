"""Which deliveries PayPal signed, and what lies where it says that its certificate lies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import SplitResult

import pytest

from ingest.inbox.port import SKEW_SECONDS
from ingest.inbox.providers.paypal.certificates import KEPT, MAX_KEPT, NAMES
from ledger_core.errors import ConfigurationError, DependencyError
from tests.unit.inbox.paypal_host import BETWEEN, BODY, NOW, URL, WEBHOOK, Host, chain, headers, issue, key, pem


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_paypal_signed_is_an_event_and_its_delivery_has_an_id(host: Host) -> None:
    accepted = host.verify()
    (event,) = accepted.events
    assert accepted.delivery_id == "69cd13f0-d67a-11e5-baa3-778b53f4ae55"
    assert (event.event_id, event.type, event.object_id) == ("WH-1", "PAYMENT.CAPTURE.COMPLETED", "42311647XV020574X")
    assert event.version == 1_772_366_398_500


def test_during_a_roll_either_webhook_counts_and_no_other(host: Host) -> None:
    assert host.verify(secrets=("ANOTHERWEBHOOK", WEBHOOK)).events
    assert host.refused(secrets=("ANOTHERWEBHOOK",)).startswith("signature: ")


def test_another_body_is_refused(host: Host) -> None:
    signed = headers(BODY)
    assert host.refused(body=BODY.replace(b"30.11", b"30.12"), **signed).startswith("signature: ")


@pytest.mark.parametrize(
    "changed",
    [
        {"paypal-auth-algo": "SHA1withRSA"}, {"paypal-transmission-sig": "!"}, {"paypal-transmission-sig": "AAAA"},
        {"paypal-transmission-id": ""}, {"paypal-transmission-id": "a b"}, {"paypal-transmission-time": "yesterday"},
        {"paypal-transmission-time": "2026-03-01T12:00:00"}, {"paypal-transmission-id": "another"},
        {"paypal-cert-url": ""},
    ],
)  # fmt: skip
def test_what_is_nearly_a_signature_of_paypals_is_none(host: Host, changed: dict[str, str]) -> None:
    assert host.refused(**changed).startswith("signature: ")


def test_a_delivery_counts_for_five_minutes_and_not_from_the_future(host: Host) -> None:
    assert host.verify(at=NOW + timedelta(seconds=300)).events
    assert host.refused(at=NOW + timedelta(seconds=301)).startswith("stale: ")
    assert host.verify(at=NOW - timedelta(seconds=SKEW_SECONDS)).events
    assert host.refused(at=NOW - timedelta(seconds=SKEW_SECONDS + 1)).startswith("future: ")


def test_a_stranger_with_an_old_delivery_makes_us_ask_nobody(host: Host) -> None:
    host.refused(at=NOW + timedelta(hours=1))
    assert host.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/x",
        "https://api.paypal.com.evil.example/v1/notifications/certs/x",
        "https://evil.example/v1/notifications/certs/x", "https://127.0.0.1/v1/notifications/certs/x",
        "https://api.paypal.com:8443/v1/notifications/certs/x", "https://me@api.paypal.com/v1/notifications/certs/x",
        "https://api.paypal.com@evil.example/v1/notifications/certs/x", "https://api.paypal.com/x",
        "https://api.paypal.com/v1/notifications/certs/../../x", "https://api.paypal.com/v1/notifications/certs/%2e%2e",
        "https://api.paypal.com/v1/notifications/certs/x?a=b",
        "https://api.paypal.com/v1/notifications/certs/x#a",
        "https://api.paypal.com\\@evil.example/v1/notifications/certs/x",
        "https://api.paypal.com/v1/notifications/certs/\u00e9", "https://api.paypal.com:x/v1/notifications/certs/x",
        "file:///v1/notifications/certs/x", "//api.paypal.com/v1/notifications/certs/x",
        "https://[::1/v1/notifications/certs/x",
        "https://api.paypal.com/v1/notifications/certs/" + "x" * 500,
        "https://api.paypal.com/v1/notifications/certs/a\nb",
    ],
)  # fmt: skip
def test_no_address_but_paypals_is_ever_asked(host: Host, url: str) -> None:
    assert "none of PayPal's" in host.refused(**{"paypal-cert-url": url})
    assert host.asked == []


def test_paypals_own_port_may_be_said(host: Host) -> None:
    assert host.verify(**{"paypal-cert-url": URL.replace(".com/", ".com:443/")}).events


def self_signed() -> bytes:
    return pem(issue(NAMES[0], subject_key=key(3)))


def by_a_stranger() -> bytes:
    stranger = ("Root of the tests", key(4))
    return pem(issue(NAMES[0], subject_key=key(3), by=stranger), issue(stranger[0], subject_key=stranger[1], ca=True))


@pytest.mark.parametrize(
    ("lies_there", "why"),
    [
        (self_signed, "no authority vouches"), (by_a_stranger, "no authority vouches"),
        (lambda: chain("www.paypal.com"), "in PayPal's name"), (lambda: chain("evil.example"), "in PayPal's name"),
        (lambda: chain().partition(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n", "no authority"),
        (lambda: b"<html>", "no certificate"), (lambda: b"", "no certificate"),
        (lambda: pem(issue(NAMES[0], subject_key=key(9, 1024), by=BETWEEN)), "2048 bits"),
    ],
)  # fmt: skip
def test_a_certificate_counts_only_if_an_authority_vouches_for_it_in_paypals_name(
    host: Host, lies_there: Callable[[], bytes], why: str
) -> None:
    host.data = lies_there()
    assert why in host.refused()


def test_a_certificate_that_has_expired_is_none(host: Host) -> None:
    host.data = chain(days=1)
    later = NOW + timedelta(days=2)
    assert "no authority vouches" in host.refused(at=later, **headers(BODY, sent_at=later))


def test_the_sandbox_has_a_name_of_its_own(host: Host) -> None:
    host.data = chain(NAMES[1])
    assert host.verify().events


def test_a_certificate_is_fetched_once_and_again_after_a_while_and_what_is_kept_is_bounded(host: Host) -> None:
    for _ in range(3):
        host.verify()
    assert len(host.asked) == 1
    later = NOW + KEPT
    host.verify(at=later, **headers(BODY, sent_at=later))
    assert len(host.asked) == 2
    for number in range(MAX_KEPT + 5):
        host.verify(**{"paypal-cert-url": f"{URL}{number}"})
    assert len(host.certificates._keys) == MAX_KEPT


def test_what_is_not_theirs_is_not_fetched_again_for_a_minute(host: Host) -> None:
    host.data = b"<html>"
    for _ in range(5):
        host.refused()
    assert len(host.asked) == 1
    host.data, later = chain(), NOW + timedelta(minutes=2)
    assert host.verify(at=later, **headers(BODY, sent_at=later)).events


def test_what_strangers_name_pushes_out_no_key(host: Host) -> None:
    host.verify()
    host.data = b"<html>"
    for number in range(MAX_KEPT + 5):
        host.refused(**{"paypal-cert-url": f"{URL}{number}"})
    host.data = DependencyError("away")
    assert host.verify().events


def test_nobody_waits_for_a_certificate_that_is_fetched_for_somebody_else(host: Host) -> None:
    host.verify()

    def get_meanwhile(_address: SplitResult) -> bytes:
        assert host.verify().events, "a key that is known counts at once"
        with pytest.raises(DependencyError, match="is being fetched"):
            host.verify(**{"paypal-cert-url": f"{URL}2"})
        return chain()

    host.certificates._get = get_meanwhile
    assert host.verify(**{"paypal-cert-url": f"{URL}1"}).events


def test_a_host_that_does_not_answer_is_another_matter_than_a_forgery(host: Host) -> None:
    host.data = DependencyError("away")
    with pytest.raises(DependencyError):
        host.verify()
    host.data = chain()
    assert host.verify().events


def test_authorities_that_are_none_are_the_operators_to_mend(host: Host) -> None:
    host.authorities.write_text("none")
    with pytest.raises(ConfigurationError, match="no certificates of authorities"):
        host.verify()
