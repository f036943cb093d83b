"""PayPal: deliveries signed over a checksum of the body, which proves too little for the body to be posted from."""

from __future__ import annotations

from ingest.inbox.port import NewsOnly, Provider
from ingest.inbox.providers.paypal.verify import PayPalVerifier

PROVIDER = Provider(
    name="paypal",
    secret_form="the webhook's id, as PayPal's developer dashboard shows it",  # noqa: S106 - what one looks like
    check_secret=lambda text: text.isalnum() and 8 <= len(text) <= 50,
    make_verifier=PayPalVerifier,
    make_handler=lambda account: NewsOnly(
        f"news of {account.name}: a checksum proves no body; what was settled is booked from the settlement report"
    ),
)
