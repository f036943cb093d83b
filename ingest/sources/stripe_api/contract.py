"""Stripe's objects as its API lists them: one JSON object a line, after a line that says which list it is of.

Source: Stripe's API reference for balance transactions, payouts and disputes, and its published OpenAPI description
for the values of `type`. Amounts are whole minor units and currencies small, unlike those of its reports; times are
seconds since 1970. A column is named by its way into the object, with `_` for each step.
"""

from __future__ import annotations

from ingest.contract.vocabulary import (
    Carries,
    Case,
    Column,
    Contract,
    Difference,
    Kind,
    RecordType,
    Scale,
    Sign,
    SourceKind,
)
from ingest.sources.stripe_report.contract import EVENTS as CATEGORIES

_OBJECT = (
    Column(name="id", kind=Kind.ID, mandatory=True, required=True),
    Column(name="created", kind=Kind.SECONDS, mandatory=True, required=True),
    Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
    Column(name="amount", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
)

BALANCE_TRANSACTIONS = RecordType(
    name="balance_transactions",
    table="raw.stripe_api_balance_transactions",
    reports=("/v1/balance_transactions",),
    dated_by="created",
    carries=Carries.ITEMS,
    identity=Difference(total="net", minuend="amount", subtrahend="fee"),
    columns=(
        *_OBJECT,
        Column(name="fee", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
        Column(name="net", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency"),
        # Text as the API wrote it: a rate of conversion is nobody's float.
        Column(name="exchange_rate", kind=Kind.ID),
        Column(name="available_on", kind=Kind.SECONDS),
        Column(name="type", kind=Kind.ID, mandatory=True, required=True),
        Column(name="reporting_category", kind=Kind.ID),
        Column(name="status", kind=Kind.ID),
        Column(name="balance_type", kind=Kind.ID),
        Column(name="description"),
        Column(name="fee_details"),
        # The payout whose transactions were asked for: the object itself never says it.
        Column(name="payout", kind=Kind.ID),
        Column(name="source", kind=Kind.ID),
        Column(name="source_object", kind=Kind.ID),
        Column(name="source_charge", kind=Kind.ID),
        Column(name="source_payment_intent", kind=Kind.ID),
        Column(name="source_payment_method_details_type", kind=Kind.ID),
        Column(name="source_metadata_reference", kind=Kind.ID),
        Column(name="source_metadata_order_id", kind=Kind.ID),
        Column(name="source_metadata_order", kind=Kind.ID),
        Column(name="source_metadata_external_identifier", kind=Kind.ID),
    ),
)

PAYOUTS = RecordType(
    name="payouts",
    table="raw.stripe_api_payouts",
    reports=("/v1/payouts",),
    dated_by="created",
    carries=Carries.PAYOUTS,
    columns=(
        *_OBJECT,
        Column(name="arrival_date", kind=Kind.SECONDS, mandatory=True, required=True),
        Column(name="status", kind=Kind.ID, mandatory=True, required=True),
        Column(name="type", kind=Kind.ID),
        Column(name="method", kind=Kind.ID),
        Column(name="automatic", kind=Kind.ID),
        Column(name="reconciliation_status", kind=Kind.ID),
        Column(name="balance_transaction", kind=Kind.ID),
        Column(name="balance_transaction_fee", kind=Kind.AMOUNT, currency="currency"),
        Column(name="balance_transaction_net", kind=Kind.AMOUNT, currency="currency"),
        Column(name="failure_balance_transaction", kind=Kind.ID),
        Column(name="failure_code", kind=Kind.ID),
        Column(name="original_payout", kind=Kind.ID),
        Column(name="reversed_by", kind=Kind.ID),
        Column(name="source_type", kind=Kind.ID),
        Column(name="destination", kind=Kind.ID),
        Column(name="description"),
        Column(name="statement_descriptor"),
        Column(name="trace_id_status", kind=Kind.ID),
        Column(name="trace_id_value", kind=Kind.ID),
    ),
)

DISPUTES = RecordType(
    name="disputes",
    table="raw.stripe_api_disputes",
    reports=("/v1/disputes",),
    dated_by="created",
    # Its money stands in balance transactions; this is only how it goes on.
    carries=Carries.NOTHING,
    columns=(
        *_OBJECT,
        Column(name="status", kind=Kind.ID, mandatory=True, required=True),
        Column(name="reason", kind=Kind.ID),
        Column(name="charge", kind=Kind.ID),
        Column(name="payment_intent", kind=Kind.ID),
        Column(name="is_charge_refundable", kind=Kind.ID),
        Column(name="network_reason_code", kind=Kind.ID),
        Column(name="evidence_details_due_by", kind=Kind.SECONDS),
        Column(name="balance_transactions"),
    ),
)

# Only of an object without `reporting_category`, which splits `adjustment` and says more.
TYPES = {
    "adjustment": "adjustment",
    "advance": "financing",
    "advance_funding": "financing",
    "anticipation_repayment": "financing",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
    "charge": "charge",
    "climate_order_purchase": "climate_order",
    "climate_order_refund": "climate_order_refund",
    "connect_collection_transfer": "transfer",
    "contribution": "contribution",
    "fee_credit_funding": "adjustment",
    "inbound_transfer": "transfer",
    "inbound_transfer_reversal": "transfer_reversal",
    "issuing_authorization_hold": "issuing_hold",
    "issuing_authorization_release": "issuing_release",
    "issuing_dispute": "issuing_dispute",
    "issuing_transaction": "issuing_transaction",
    "obligation_outbound": "adjustment",
    "obligation_reversal_inbound": "adjustment",
    "payment": "charge",
    "payment_failure_refund": "charge_failure",
    "payment_network_reserve_hold": "reserve",
    "payment_network_reserve_release": "reserve_release",
    "payment_refund": "refund",
    "payment_reversal": "charge_failure",
    "payment_unreconciled": "unreconciled_customer_funds",
    "payout": "payout",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "payout_minimum_balance_hold": "reserve",
    "payout_minimum_balance_release": "reserve_release",
    "refund": "refund",
    "refund_failure": "refund_failure",
    "reserve_hold": "reserve",
    "reserve_release": "reserve_release",
    "reserve_transaction": "reserve",
    "reserved_funds": "reserve",
    "stripe_balance_payment_debit": "adjustment",
    "stripe_balance_payment_debit_reversal": "adjustment",
    "stripe_fee": "fee",
    "stripe_fx_fee": "fee",
    "tax_fee": "tax",
    "tax_fund": "tax",
    "topup": "topup",
    "topup_reversal": "topup_reversal",
    "transfer": "transfer",
    "transfer_cancel": "transfer_reversal",
    "transfer_failure": "transfer_reversal",
    "transfer_refund": "transfer_reversal",
}

CONTRACT = Contract(
    source="stripe_api",
    kind=SourceKind.PSP,
    provider="stripe",
    parser_version=1,
    format="json",
    encoding="utf-8",
    scale=Scale.API_MINOR,
    sign=Sign.SIGNED,
    time_zone="UTC",
    currency_case=Case.LOWER,
    record_types=(BALANCE_TRANSACTIONS, PAYOUTS, DISPUTES),
    events={**TYPES, **CATEGORIES},
    # Whole objects, of which people's data may be a part: what is no column is left in the encrypted bytes.
    kept_columns=r"^(livemode|application_fee|application_fee_amount|failure_message|payment_method_type)$",
    personal_columns=r"^(source|charge|destination|evidence|metadata|payment_method_details|enhanced_eligibility_types)$",
)
