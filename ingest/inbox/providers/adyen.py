"""Adyen's standard webhooks: each item of a delivery is signed by itself, over eight of its fields and nothing else.

So date, reason and additional data prove nothing, and no amount is booked from them: what was settled comes by the
settlement details report. A delivery in which one item is not signed is refused whole, and sent again. There is no
event id: a fact is merchant account, event code, PSP reference and success. Source: docs.adyen.com, "Verify HMAC
signatures".
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.body import malformed, read_object, text_at
from ingest.inbox.port import MAX_EVENTS, Accepted, Delivery, NewsOnly, Provider, Reply, Verified
from ledger_core.errors import DeliveryRefused

_KEY = re.compile(r"([0-9a-fA-F]{2}){16,64}")
_SIGNED: Final = (
    "pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success",
)  # fmt: skip


class AdyenVerifier:
    """Fulfils `ingest.inbox.port.Verifier`."""

    def verify(self, delivery: Delivery, account: ProviderAccount) -> Accepted:
        """Return the items, if one of the account's keys signed every one."""
        listed = read_object(delivery.body).get("notificationItems")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_EVENTS:
            raise malformed(f"the body needs `notificationItems`, 1 to {MAX_EVENTS} of them.")
        keys = [bytes.fromhex(secret) for secret in account.secrets if _KEY.fullmatch(secret)]
        events = [_judge(wrapped, place, keys) for place, wrapped in enumerate(listed)]
        return Accepted(events=tuple(events))


def signed_text(item: Mapping[str, Any], *, escaped: bool = False) -> bytes:
    """Return what the signature of an item covers: eight fields in Adyen's order, with colons between."""
    amount = item.get("amount") or {}
    psp, original, merchant, reference, code, success = (str(item.get(name) or "") for name in _SIGNED)
    value, currency = str(amount.get("value", "")), str(amount.get("currency") or "")
    parts = [psp, original, merchant, reference, value, currency, code, success]
    if escaped:
        parts = [part.replace("\\", "\\\\").replace(":", "\\:") for part in parts]
    return ":".join(parts).encode()


def signature_of(item: Mapping[str, Any], key: bytes, *, escaped: bool = False) -> str:
    """Return the signature that `key` gives an item."""
    return b64encode(hmac.new(key, signed_text(item, escaped=escaped), sha256).digest()).decode()


def _judge(wrapped: object, place: int, keys: list[bytes]) -> Verified:
    item = wrapped.get("NotificationRequestItem") if isinstance(wrapped, Mapping) else None
    if not isinstance(item, Mapping):
        raise malformed(f"item {place} has no `NotificationRequestItem`.")
    amount, more = item.get("amount"), item.get("additionalData")
    if amount is not None and (not isinstance(amount, Mapping) or type(amount.get("value")) is not int):
        raise malformed(f"item {place}: `amount` is none.")
    given = more.get("hmacSignature") if isinstance(more, Mapping) else None
    if not isinstance(given, str) or not _is_signed(item, given, keys):
        raise DeliveryRefused(f"no key of this account signed item {place}.", reason="signature")
    merchant, code = text_at(item, "merchantAccountCode"), text_at(item, "eventCode")
    reference, success = text_at(item, "pspReference"), text_at(item, "success", may_be_empty=True)
    event_id = f"{merchant}:{code}:{reference}:{success}"
    return Verified(
        event_id=event_id,
        # Success and failure of one reference are two facts, and neither is the newer.
        type=code if success == "true" else f"{code}.failed",
        object_id=reference,
        version=0,
        occurred_at=_occurred_at(item.get("eventDate")),
        told=item,
        payload=item,
    )


def _is_signed(item: Mapping[str, Any], given: str, keys: list[bytes]) -> bool:
    # Older signers put a backslash before a colon within a field; most fields have none.
    forms = (False, True) if signed_text(item) != signed_text(item, escaped=True) else (False,)
    made = [signature_of(item, key, escaped=escaped) for key in keys for escaped in forms]
    # All of them, whichever fits: how long it takes says nothing.
    return sum(hmac.compare_digest(each.encode(), given.encode()) for each in made) > 0


def _occurred_at(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found.astimezone(UTC)


PROVIDER = Provider(
    name="adyen",
    secret_form="the HMAC key of the webhook, in hex",  # noqa: S106 - what one looks like
    check_secret=lambda text: _KEY.fullmatch(text) is not None,
    make_verifier=AdyenVerifier,
    make_handler=lambda account: NewsOnly(
        f"news of {account.name}: what was settled is booked from the settlement details report"
    ),
    reply=Reply(content=b"[accepted]", media_type="text/plain"),
)
