"""Stripe: signed deliveries, and entries made of the balance transactions behind what they tell."""

from __future__ import annotations

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.port import Handler, Provider, Verifier


def _verifier() -> Verifier:
    from ingest.inbox.providers.stripe.verify import StripeVerifier

    return StripeVerifier()


def _handler(account: ProviderAccount) -> Handler:
    from ingest.inbox.providers.stripe.fetch import StripeFetch
    from ingest.inbox.providers.stripe.handle import StripeHandler

    return StripeHandler(StripeFetch(account))


PROVIDER = Provider(
    name="stripe",
    secret_form="whsec_..., the signing secret of the endpoint",  # noqa: S106 - what one looks like
    check_secret=lambda text: text.startswith("whsec_") and len(text) >= 16,
    make_verifier=_verifier,
    make_handler=_handler,
)
