"""Which deliveries Stripe signed, for which secret, just now.

The signature is Stripe's own library's to check. It takes a time from the future, however far, so that a delivery
signed ahead would count for ever: that is refused here. Source: docs.stripe.com/webhooks, "Verify webhook
signatures".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.body import id_at, read_object, text_at
from ingest.inbox.port import SKEW_SECONDS, TOLERANCE_SECONDS, Accepted, Delivery, Verified
from ledger_core.errors import DeliveryRefused

HEADER = "stripe-signature"
MAX_HEADER_CHARACTERS = 4_096
_TIME = re.compile(r"[0-9]{1,12}")


class StripeVerifier:
    """Fulfils `ingest.inbox.port.Verifier`."""

    def verify(self, delivery: Delivery, account: ProviderAccount) -> Accepted:
        """Return the event, if one of the account's secrets signed it within the tolerance."""
        header = delivery.headers.get(HEADER, "")
        if not _is_signed(delivery.body, header, account.secrets):
            raise DeliveryRefused("no secret of this account signed the delivery.", reason="signature")
        _check_time(header, delivery.at, account.tolerance_seconds or TOLERANCE_SECONDS)
        return Accepted(events=(_event(read_object(delivery.body)),))


def _is_signed(body: bytes, header: str, secrets: tuple[str, ...]) -> bool:
    from stripe import SignatureVerificationError, WebhookSignature

    if not header.isascii() or not 0 < len(header) <= MAX_HEADER_CHARACTERS:
        return False
    for secret in secrets:
        try:
            # Without a tolerance, which the library holds against its own clock: ours is asked below.
            WebhookSignature.verify_header(body, header, secret, None)
        except (SignatureVerificationError, UnicodeError):
            continue
        return True
    return False


def _check_time(header: str, now: datetime, tolerance_seconds: int) -> None:
    """Raise unless the one time in `header`, which the signature covers, is about now."""
    times = [value for name, _, value in (item.partition("=") for item in header.split(",")) if name.strip() == "t"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise DeliveryRefused("the signature says no one time.", reason="signature")
    age = now.timestamp() - int(times[0])
    if age > tolerance_seconds:
        raise DeliveryRefused(
            f"it was signed {age:.0f} s ago, and {tolerance_seconds} are let pass.",
            reason="stale",
            remedy="Send it again from Stripe's dashboard; check this host's clock.",
        )
    if age < -SKEW_SECONDS:
        raise DeliveryRefused(
            f"it was signed {-age:.0f} s in the future, and {SKEW_SECONDS} are let pass.",
            reason="future",
            remedy="Check this host's clock.",
        )


def _event(body: Mapping[str, Any]) -> Verified:
    event_id, type = text_at(body, "id"), text_at(body, "type")
    data, created = body.get("data"), body.get("created")
    told = data.get("object") if isinstance(data, Mapping) else None
    if body.get("object") == "v2.core.event":
        # A thin event: it names its object and says nothing of it.
        told, created = body.get("related_object"), None
    known = _seconds(created)
    return Verified(
        event_id=event_id,
        type=type,
        # Some objects have no id of their own, such as a balance: then the event is its own fact.
        object_id=id_at(told, "id", event_id),
        version=known or 0,
        occurred_at=None if known is None else datetime.fromtimestamp(known, UTC),
        told=told if isinstance(told, Mapping) and created is not None else body,
        payload=body,
    )


def _seconds(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 10**11 else None
