"""Which deliveries PayPal signed: RSA over transmission id, time, the webhook's id and a CRC-32 of the body.

A CRC-32 is no digest: whoever holds one delivery can change its body and keep the sum. So each transmission id counts
once, only about its time, and "verified" means no more than "look at the object". The webhook's id takes the place of a
secret: it is not secret, and a delivery to another webhook is none of ours. Source: developer.paypal.com, "Webhooks
integration", self verification.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import crc32
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.body import id_at, read_object, text_at
from ingest.inbox.port import SKEW_SECONDS, TOLERANCE_SECONDS, Accepted, Delivery, Verified
from ingest.inbox.providers.paypal.certificates import Certificates
from ledger_core.errors import DeliveryRefused

ALGORITHM = "SHA256withRSA"
MAX_HEADER_CHARACTERS = 2_048
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
_NAMES = ("transmission-id", "transmission-time", "transmission-sig", "cert-url", "auth-algo")


class PayPalVerifier:
    """Fulfils `ingest.inbox.port.Verifier`."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self._certificates = certificates or Certificates()

    def verify(self, delivery: Delivery, account: ProviderAccount) -> Accepted:
        """Return the event, if PayPal signed its checksum for one of the account's webhook ids about now."""
        given = {name: delivery.headers.get(f"paypal-{name}", "") for name in _NAMES}
        if any(not 0 < len(value) <= MAX_HEADER_CHARACTERS for value in given.values()):
            raise _unsigned("a header of the signature is missing.")
        if given["auth-algo"] != ALGORITHM or not _ID.fullmatch(given["transmission-id"]):
            raise _unsigned(f"it is not signed by {ALGORITHM}.")
        # Before anything is fetched for it: a stranger with an old delivery makes us ask nobody.
        _check_time(given["transmission-time"], delivery.at, account.tolerance_seconds or TOLERANCE_SECONDS)
        key = self._certificates.key_of(given["cert-url"], at=delivery.at, authorities=account.authorities)
        try:
            signature = b64decode(given["transmission-sig"], validate=True)
        except ValueError as error:
            raise _unsigned("its signature is no base64.") from error
        for webhook_id in account.secrets:
            text = f"{given['transmission-id']}|{given['transmission-time']}|{webhook_id}|{crc32(delivery.body)}"
            try:
                key.verify(signature, text.encode(), PKCS1v15(), SHA256())
            except InvalidSignature:
                continue
            return Accepted(events=(_event(read_object(delivery.body)),), delivery_id=given["transmission-id"])
        raise _unsigned("PayPal did not sign it for this webhook.")


def _check_time(text: str, now: datetime, tolerance_seconds: int) -> None:
    sent_at = _moment(text)
    if sent_at is None:
        raise _unsigned("its time is none.")
    age = (now - sent_at).total_seconds()
    if age > tolerance_seconds:
        raise DeliveryRefused(
            f"it was sent {age:.0f} s ago, and {tolerance_seconds} are let pass.",
            reason="stale",
            remedy="Send it again from PayPal's dashboard; check this host's clock.",
        )
    if age < -SKEW_SECONDS:
        raise DeliveryRefused(f"it was sent {-age:.0f} s in the future.", reason="future")


def _event(body: Mapping[str, Any]) -> Verified:
    event_id, type = text_at(body, "id"), text_at(body, "event_type")
    resource = body.get("resource")
    made_at = _moment(body.get("create_time"))
    return Verified(
        event_id=event_id,
        type=type,
        object_id=id_at(resource, "id", event_id),
        version=0 if made_at is None else int(made_at.timestamp() * 1000),
        occurred_at=made_at,
        told=resource if isinstance(resource, Mapping) else body,
        payload=body,
    )


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found.astimezone(UTC)


def _unsigned(message: str) -> DeliveryRefused:
    return DeliveryRefused(message, reason="signature")
