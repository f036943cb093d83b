"""The types that the contract of Stripe's reports knows are those that Stripe documents."""

from __future__ import annotations

import pytest

from ingest.sources.stripe_report.contract import CONTRACT

# Source: the values of `parameters.reporting_category` of POST /v1/reporting/report_runs in Stripe's published OpenAPI
# description (spec3.json), read in 2026.
DOCUMENTED = [
    "advance",
    "advance_funding",
    "anticipation_repayment",
    "charge",
    "charge_failure",
    "climate_order_purchase",
    "climate_order_refund",
    "connect_collection_transfer",
    "connect_reserved_funds",
    "contribution",
    "dispute",
    "dispute_reversal",
    "fee",
    "financing_paydown",
    "financing_paydown_reversal",
    "financing_payout",
    "financing_payout_reversal",
    "issuing_authorization_hold",
    "issuing_authorization_release",
    "issuing_dispute",
    "issuing_transaction",
    "network_cost",
    "other_adjustment",
    "partial_capture_reversal",
    "payout",
    "payout_reversal",
    "platform_earning",
    "platform_earning_refund",
    "refund",
    "refund_failure",
    "risk_reserved_funds",
    "tax",
    "topup",
    "topup_reversal",
    "transfer",
    "transfer_reversal",
    "unreconciled_customer_funds",
]
WRITTEN_BESIDES = {"payout_minimum_balance_hold", "payout_minimum_balance_release", "stripe_fee"}
"""What its reports hold and the parameter does not list: the pages of the balance reports name them."""


@pytest.mark.parametrize("category", DOCUMENTED)
def test_a_documented_category_means_something(category: str) -> None:
    assert CONTRACT.events[category]


def test_nothing_is_known_that_nobody_documents() -> None:
    assert set(CONTRACT.events) == {*DOCUMENTED, *WRITTEN_BESIDES}
