"""Stripe's report files as Stripe documents them: one CSV a report, told apart by their headers.

Source: Stripe's report type pages for `payout_reconciliation.itemized.5` and `.7` and `payouts.itemized.3`, and
Mozilla's bigquery-etl schema of the former. Amounts are decimal major units, unlike those of Stripe's API; currencies
come in both cases. Also how Stripe's payouts look on a bank statement.
"""

from __future__ import annotations

from ingest.contract.vocabulary import (
    Carries,
    Case,
    Claim,
    Column,
    Contract,
    Difference,
    Kind,
    PayoutRows,
    Purpose,
    RecordType,
    Scale,
    SettledRows,
    Sign,
    SourceKind,
)

_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")


def _addresses(prefix: str) -> tuple[Column, ...]:
    return tuple(Column(name=f"{prefix}_{part}", personal=True) for part in _ADDRESS)


_GROSS_FEE_NET = (
    Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
    Column(name="gross", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
    Column(name="fee", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
    Column(name="net", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
    Column(name="reporting_category", mandatory=True, required=True),
)

PAYOUT_RECONCILIATION = RecordType(
    name="payout_reconciliation",
    table="raw.stripe_report_payout_reconciliation",
    reports=("payout_reconciliation.itemized.5", "payout_reconciliation.itemized.7"),
    dated_by="created_utc",
    carries=Carries.ITEMS,
    # Stripe puts an item into the report of the day on which its payout takes effect.
    selected_by=("automatic_payout_effective_at_utc", "automatic_payout_effective_at"),
    identified_by="balance_transaction_id",
    sliced_by=("currency", "reporting_category", "automatic_payout_id"),
    settled_rows=SettledRows(payout_id="automatic_payout_id", type="reporting_category", net="net"),
    identity=Difference(total="net", minuend="gross", subtrahend="fee"),
    columns=(
        # Empty while the item waits for its payout, and for ever when payouts are not automatic.
        Column(name="automatic_payout_id", kind=Kind.ID, mandatory=True),
        Column(name="automatic_payout_effective_at_utc", kind=Kind.TIMESTAMP),
        Column(
            name="automatic_payout_effective_at", kind=Kind.TIMESTAMP, stands_for="automatic_payout_effective_at_utc"
        ),
        Column(name="balance_transaction_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="created_utc", kind=Kind.TIMESTAMP, mandatory=True, required=True),
        Column(name="created", kind=Kind.TIMESTAMP, stands_for="created_utc"),
        Column(name="available_on_utc", kind=Kind.TIMESTAMP),
        Column(name="available_on", kind=Kind.TIMESTAMP, stands_for="available_on_utc"),
        *_GROSS_FEE_NET,
        # Fees of the month have no source.
        Column(name="source_id", kind=Kind.ID),
        Column(name="description"),
        Column(name="customer_facing_amount", kind=Kind.AMOUNT, currency="customer_facing_currency"),
        Column(name="customer_facing_currency", kind=Kind.CURRENCY),
        Column(name="regulatory_tag"),
        Column(name="customer_id", kind=Kind.ID),
        Column(name="customer_email", personal=True),
        Column(name="customer_name", personal=True),
        Column(name="customer_description", personal=True),
        *_addresses("customer_shipping_address"),
        *_addresses("customer_address"),
        *_addresses("shipping_address"),
        *_addresses("card_address"),
        Column(name="charge_id", kind=Kind.ID),
        Column(name="payment_intent_id", kind=Kind.ID),
        Column(name="charge_created_utc", kind=Kind.TIMESTAMP),
        Column(name="charge_created", kind=Kind.TIMESTAMP, stands_for="charge_created_utc"),
        Column(name="invoice_id", kind=Kind.ID),
        Column(name="invoice_number", kind=Kind.ID),
        Column(name="subscription_id", kind=Kind.ID),
        Column(name="order_id", kind=Kind.ID),
        Column(name="payment_method_type"),
        Column(name="is_link"),
        Column(name="card_brand"),
        Column(name="card_funding"),
        Column(name="card_country"),
        Column(name="statement_descriptor"),
        Column(name="dispute_reason"),
        Column(name="connected_account_id", kind=Kind.ID),
        Column(name="connected_account_name"),
        Column(name="connected_account_country"),
        Column(name="connected_account_direct_charge_id", kind=Kind.ID),
        Column(name="destination_payment_id", kind=Kind.ID),
        Column(name="trace_id", kind=Kind.ID),
        Column(name="trace_id_status"),
        # Added by .7.
        Column(name="payout_reference_token", kind=Kind.ID),
        Column(name="payout_statement_descriptor"),
        Column(name="fee_net_of_withheld_tax", kind=Kind.AMOUNT, currency="currency"),
        Column(name="withheld_tax", kind=Kind.AMOUNT, currency="currency"),
    ),
)

PAYOUTS = RecordType(
    name="payouts",
    table="raw.stripe_report_payouts",
    reports=("payouts.itemized.3",),
    dated_by="effective_at_utc",
    carries=Carries.PAYOUTS,
    identified_by="balance_transaction_id",
    sliced_by=("currency", "reporting_category"),
    payout_rows=PayoutRows(
        payout_id="payout_id",
        type="reporting_category",
        value="payout",
        reversal="payout_reversal",
        gross="gross",
        fee="fee",
        net="net",
    ),
    identity=Difference(total="net", minuend="gross", subtrahend="fee"),
    columns=(
        Column(name="payout_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="effective_at_utc", kind=Kind.TIMESTAMP, mandatory=True, required=True),
        Column(name="effective_at", kind=Kind.TIMESTAMP, stands_for="effective_at_utc"),
        *_GROSS_FEE_NET,
        Column(name="balance_transaction_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="description"),
        Column(name="payout_expected_arrival_date", kind=Kind.DATE, mandatory=True, required=True),
        Column(name="payout_status"),
        Column(name="payout_reversed_at", kind=Kind.TIMESTAMP),
        Column(name="payout_type"),
        Column(name="payout_description"),
        Column(name="payout_destination_id", kind=Kind.ID),
    ),
)

# Stripe's `reporting_category`: the one to classify on, because it splits the type `adjustment`. Source: the values of
# the parameter `reporting_category` of a report run in Stripe's published OpenAPI description, and those that its
# reports write besides (minimum balances, `stripe_fee`).
EVENTS = {
    "advance": "financing",
    "advance_funding": "financing",
    "anticipation_repayment": "financing",
    "charge": "charge",
    "charge_failure": "charge_failure",
    "climate_order_purchase": "climate_order",
    "climate_order_refund": "climate_order_refund",
    "connect_collection_transfer": "transfer",
    "connect_reserved_funds": "reserve",
    "contribution": "contribution",
    "dispute": "dispute",
    "dispute_reversal": "dispute_reversal",
    "fee": "fee",
    "financing_paydown": "financing",
    "financing_paydown_reversal": "financing",
    "financing_payout": "financing",
    "financing_payout_reversal": "financing",
    "issuing_authorization_hold": "issuing_hold",
    "issuing_authorization_release": "issuing_release",
    "issuing_dispute": "issuing_dispute",
    "issuing_transaction": "issuing_transaction",
    "network_cost": "fee",
    "other_adjustment": "adjustment",
    "partial_capture_reversal": "partial_capture_reversal",
    "payout": "payout",
    "payout_minimum_balance_hold": "reserve",
    "payout_minimum_balance_release": "reserve_release",
    "payout_reversal": "payout_reversal",
    "platform_earning": "platform_earning",
    "platform_earning_refund": "platform_earning_refund",
    "refund": "refund",
    "refund_failure": "refund_failure",
    "risk_reserved_funds": "reserve",
    "stripe_fee": "fee",
    "tax": "tax",
    "topup": "topup",
    "topup_reversal": "topup_reversal",
    "transfer": "transfer",
    "transfer_reversal": "transfer_reversal",
    "unreconciled_customer_funds": "unreconciled_customer_funds",
}

_PAYOUT_ID = "(^|[^a-z0-9])po_[a-z0-9]"

CLAIMS = (
    Claim(field="counterparty_name", pattern="(^|[^a-z0-9])stripe([^a-z0-9]|$)"),
    Claim(field="remittance", pattern="(^|[^a-z0-9])(stripe([^a-z0-9]|$)|po_[a-z0-9]{6,})"),
    # Also half of an id, as a bank that cuts its texts leaves it.
    Claim(field="remittance", pattern=_PAYOUT_ID, purpose=Purpose.PAYOUT_REFERENCE),
    Claim(field="additional_info", pattern=_PAYOUT_ID, purpose=Purpose.PAYOUT_REFERENCE),
)

CONTRACT = Contract(
    source="stripe_report",
    kind=SourceKind.PSP,
    provider="stripe",
    parser_version=1,
    format="csv",
    encoding="utf-8",
    delimiter=",",
    scale=Scale.MAJOR_DECIMAL,
    sign=Sign.SIGNED,
    time_zone="UTC",
    currency_case=Case.ANY,
    record_types=(PAYOUT_RECONCILIATION, PAYOUTS),
    events=EVENTS,
    claims=CLAIMS,
    kept_columns=r"^(payment|refund|transfer)_metadata\[.+\]$",
    # By these the items of a company are matched; under any other key of its own it may write what it likes.
    reference_columns=r"^payment_metadata\[(reference|order_id|order|external_identifier)\]$",
    personal_columns=(
        r"e-?mail|phone|mobile|(customer|first|last|full|family|given|card_?holder|shipping|billing)[ _-]?name|address"
        r"|postal|birth|passport|tax_id|ssn"
    ),
)
