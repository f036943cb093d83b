"""Objects of Stripe as they stand now, by Stripe's own client, with the balance transactions behind them.

The version of the API is fixed, so that shapes do not change under us. Answers are parsed here and not by the library,
which reads fractions as floats. Invariant: only reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.inbox.accounts import API_KEY, ProviderAccount
from ingest.inbox.body import read_object
from ledger_core.errors import ConfigurationError, DeliveryRefused, DependencyError, NotFound

API_VERSION = "2025-09-30.clover"
TIMEOUT_SECONDS = 10
MAX_TRANSACTIONS = 100
"""Of one object, as one page brings them; a charge with more is not posted by webhook."""

_ROUTES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "charge": ("/v1/charges", ("balance_transaction",)),
    "refund": ("/v1/refunds", ("balance_transaction", "failure_balance_transaction")),
    "dispute": ("/v1/disputes", ()),  # its balance transactions are always there whole
    "payout": ("/v1/payouts", ("balance_transaction", "failure_balance_transaction")),
}
TRANSACTIONS_OF = "transactions_of"
"""The kind whose id is that of a source, and which answers all its balance transactions."""


class StripeFetch:
    """Fulfils `ingest.inbox.port.Fetch`. Safe for threads."""

    def __init__(self, account: ProviderAccount) -> None:
        self._account = account
        self._client: Any = None

    def fetch(self, kind: str, object_id: str, *, on_behalf_of: str | None = None) -> Mapping[str, Any]:
        """Return the object; `on_behalf_of` is the connected account that it belongs to."""
        if kind == TRANSACTIONS_OF:
            params: dict[str, Any] = {"source": object_id, "limit": MAX_TRANSACTIONS}
            return self._ask("/v1/balance_transactions", params, on_behalf_of)
        path, expand = _ROUTES[kind]
        if not object_id.replace("_", "").isalnum():
            raise NotFound(f"{object_id!r:.60} is no id of Stripe's.")
        return self._ask(f"{path}/{object_id}", {"expand": list(expand)} if expand else {}, on_behalf_of)

    def close(self) -> None:
        """Forget the client; its connections end with it."""
        self._client = None

    def _ask(self, path: str, params: dict[str, Any], on_behalf_of: str | None) -> Mapping[str, Any]:
        import stripe

        options = {"stripe_account": on_behalf_of} if on_behalf_of else {}
        try:
            answer = self._made().raw_request("get", path, **params, **options)
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                raise NotFound(
                    f"Stripe has no {path}.", remedy="Is the API key of the same account and mode?"
                ) from error
            raise ConfigurationError(f"Stripe does not take GET {path}: {error.user_message or error.code}.") from error
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise self._refused(path, error) from error
        except stripe.RateLimitError as error:
            raise DependencyError("Stripe takes no more requests in this second.", dependency="stripe") from error
        except stripe.StripeError as error:
            raise DependencyError(
                f"Stripe did not answer GET {path}: {type(error).__name__} {error.http_status or ''}".rstrip() + ".",
                dependency="stripe",
            ) from error
        try:
            return read_object(answer.body.encode() if isinstance(answer.body, str) else answer.body)
        except DeliveryRefused as error:
            raise DependencyError(f"Stripe answered GET {path} with no JSON.", dependency="stripe") from error

    def _made(self) -> Any:
        import stripe

        if self._account.api_key is None:
            raise ConfigurationError(
                "there is no key to fetch objects from Stripe with.",
                file=str(self._account.folder / API_KEY),
                remedy="Put a restricted key there that may read charges, refunds, disputes, payouts and balance.",
            )
        if self._client is None:
            given = self._account.api_url
            self._client = stripe.StripeClient(
                self._account.api_key,
                stripe_version=API_VERSION,
                base_addresses={"api": given} if given else None,
                max_network_retries=0,  # whoever works off the inbox comes again
                http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            )
        return self._client

    def _refused(self, path: str, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"Stripe refuses the key for GET {path}: {type(error).__name__}.",
            file=str(self._account.folder / API_KEY),
            remedy="Give it a key that may read charges, refunds, disputes, payouts and balance transactions.",
        )
