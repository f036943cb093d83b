"""Adyen's Settlement details report as Adyen documents it: one row a journal line of a settlement batch.

Source: Adyen's documentation of the report (standard and additional columns, kinds of entries) and of its time zones.
Amounts are unsigned decimal major units in a debit and a credit column: the gross in the currency of the payment, net
and fees in the currency of settlement. What moves the balance is the net. Users choose and reorder columns. Times are
local to the account, and the zone stands in a column beside them.
"""

from __future__ import annotations

from ingest.contract.vocabulary import (
    Case,
    Claim,
    Column,
    Contract,
    Kind,
    Purpose,
    RecordType,
    Scale,
    Sign,
    SourceKind,
)

FEES = ("commission_nc", "markup_nc", "scheme_fees_nc", "interchange_nc")
"""The parts of a row's fee: the first alone where prices are blended, else the other three."""
FEE_TOTALS = ("payment_fees_nc", "gross_fees_nc")
"""Optional columns in which Adyen adds the parts up itself."""


def _text(name: str, *written: str, mandatory: bool = False, required: bool = False) -> Column:
    return Column(name=name, written=written, mandatory=mandatory, required=required)


def _id(name: str, *written: str, mandatory: bool = False, required: bool = False) -> Column:
    return Column(name=name, kind=Kind.ID, written=written, mandatory=mandatory, required=required)


def _time(name: str, *written: str, zoned_by: tuple[str, ...], mandatory: bool = False) -> Column:
    return Column(
        name=name, kind=Kind.TIMESTAMP, written=written, zoned_by=zoned_by, mandatory=mandatory, required=mandatory
    )


def _fee(name: str, *written: str) -> Column:
    return Column(name=name, kind=Kind.AMOUNT, written=written, currency="net_currency", is_finer=True)


def _amount(
    name: str, written: str, *, currency: str, opposite: str | None = None, mandatory: bool = False,
    required: bool = False,
) -> Column:  # fmt: skip
    return Column(
        name=name, kind=Kind.AMOUNT, written=(written,), currency=currency, opposite=opposite, mandatory=mandatory,
        required=required,
    )  # fmt: skip


_STANDARD = (
    _id("company_account", "Company Account"),
    _id("merchant_account", "Merchant Account", mandatory=True, required=True),
    # Of the payment; a refund and a chargeback repeat it. Rows of the batch itself have none.
    _id("psp_reference", "Psp Reference", mandatory=True),
    _id("merchant_reference", "Merchant Reference"),
    _text("payment_method", "Payment Method"),
    _time("creation_date", "Creation Date", zoned_by=("timezone",), mandatory=True),
    _id("timezone", "TimeZone", mandatory=True, required=True),
    _id("type", "Type", mandatory=True, required=True),
    # Of the capture, refund or dispute; of a row of the batch its text. Not searched for cards: one reference of
    # sixteen digits in ten would pass for one.
    _id("modification_reference", "Modification Reference", mandatory=True),
    Column(name="gross_currency", kind=Kind.CURRENCY, written=("Gross Currency",), mandatory=True),
    _amount(
        "gross_debit_gc", "Gross Debit (GC)", currency="gross_currency", opposite="gross_credit_gc", mandatory=True
    ),
    _amount("gross_credit_gc", "Gross Credit (GC)", currency="gross_currency", mandatory=True),
    Column(name="exchange_rate", kind=Kind.RATE, written=("Exchange Rate",), mandatory=True),
    Column(name="net_currency", kind=Kind.CURRENCY, written=("Net Currency",), mandatory=True, required=True),
    _amount(
        "net_debit_nc",
        "Net Debit (NC)",
        currency="net_currency",
        opposite="net_credit_nc",
        mandatory=True,
        required=True,
    ),
    _amount("net_credit_nc", "Net Credit (NC)", currency="net_currency", mandatory=True),
    _fee("commission_nc", "Commission (NC)"),
    _fee("markup_nc", "Markup (NC)"),
    _fee("scheme_fees_nc", "Scheme Fees (NC)"),
    _fee("interchange_nc", "Interchange (NC)"),
    _text("payment_method_variant", "Payment Method Variant"),
    _id("modification_merchant_reference", "Modification Merchant Reference"),
    _id("batch_number", "Batch Number", mandatory=True, required=True),
    *(_text(f"reserved{number}", f"Reserved{number}") for number in range(4, 11)),
)

_ADDITIONAL = (
    _time("booking_date", "Booking Date", zoned_by=("booking_date_timezone", "timezone")),
    _id("booking_date_timezone", "Booking Date TimeZone"),
    _text("booking_date_ams", "Booking Date (AMS)"),
    # The merchant's own notes on a payment: whom they name nobody can tell.
    Column(name="metadata", written=("Metadata",), personal=True),
    Column(name="balance_currency", kind=Kind.CURRENCY, written=("Balance Currency",)),
    _amount("net_debit_bc", "Net Debit (BC)", currency="balance_currency", opposite="net_credit_bc"),
    _amount("net_credit_bc", "Net Credit (BC)", currency="balance_currency"),
    _fee("payment_fees_nc", "Payment Fees (NC)"),
    _fee("gross_fees_nc", "Gross Fees (NC)"),
    _fee("dcc_markup_nc", "DCC Markup (NC)"),
    _fee("advanced_nc", "Advanced (NC)"),
    _text("advancement_code", "Advancement Code"),
    _text("advancement_batch", "Advancement Batch"),
    _text("booking_type", "Booking Type"),
    _text("additional_type", "Additional Type", "AdditionalType"),
    _text("register_booking_type", "Register Booking Type"),
    _text("funds_destination", "Funds Destination"),
    _text("balance_platform_debit", "Balance Platform Debit"),
    _text("balance_platform_credit", "Balance Platform Credit"),
    _text("split_settlement", "Split Settlement"),
    _text("split_payment_data", "Split Payment Data"),
    _text("settlement_flow", "Settlement Flow"),
    _text("acquirer", "Acquirer"),
    _id("acquirer_reference", "Acquirer Reference"),
    _id("acquirer_auth_code", "Acquirer Auth Code"),
    _id("authorisation_code", "Authorisation Code"),
    _text("authorised_date", "Authorised Date"),
    _text("authorised_date_timezone", "Authorised Date TimeZone"),
    _id("arn", "ARN"),
    _text("clearing_network", "Clearing Network"),
    _id("dispute_reference", "Dispute Reference"),
    _text("global_card_brand", "Global Card Brand"),
    _text("gratuity_amount", "Gratuity Amount"),
    _text("surcharge_amount", "Surcharge Amount"),
    _text("installments", "Installments"),
    _text("issuer_country", "Issuer Country"),
    _text("shopper_country", "Shopper Country"),
    _id("shopper_reference", "Shopper Reference"),
    _id("merchant_order_reference", "Merchant Order Reference"),
    _id("mid", "MID"),
    _text("payment_transaction_group", "Payment Transaction Group"),
    _text("pos_transaction_date", "Pos Transaction Date"),
    _text("pos_transaction_date_timezone", "Pos Transaction Date TimeZone"),
    _text("store", "Store"),
    _text("store_code", "Store Code"),
    _id("submerchant_identifier", "Submerchant Identifier"),
    _id("tender_reference", "Tender Reference"),
    _id("terminal_id", "Terminal ID", "Unique Terminal ID"),
    _text("card_bin", "Card BIN"),
    _text("card_number", "Card Number"),
    _text("card_number_summary", "Card Number Summary"),
)

ITEMS = RecordType(
    name="items",
    table="raw.adyen_settlement_items",
    reports=("settlement_detail_report",),
    dated_by="creation_date",
    # When a row was booked into its batch; only reports that the column was added to say it.
    selected_by=("booking_date",),
    identified_by=("merchant_account", "batch_number", "type", "psp_reference", "modification_reference"),
    sliced_by=("merchant_account", "batch_number", "net_currency", "type"),
    columns=(*_STANDARD, *_ADDITIONAL),
)

# Source: the kinds of entries in Adyen's documentation of the report, and the journal types that its Customer Area
# offers for reports. What is not here, such as lines that an external acquirer's file left unmatched, is for people.
EVENTS = {
    "Settled": "charge",
    "SettledBulk": "charge",
    "BulkSettlement": "charge",
    "SettledInstallment": "charge",
    "SettledInInstallments": "charge",
    "SettledExternally": "charge",
    "SettledExternallyWithInfo": "charge",
    "SettledInstallmentExternallyWithInfo": "charge",
    "SettledReversed": "charge_failure",
    "SettledReversed (Sales Day payout)": "charge_failure",
    "CaptureFailed": "charge_failure",
    "CaptureFailed (Sales Day payout)": "charge_failure",
    "Refunded": "refund",
    "RefundedBulk": "refund",
    "RefundedInstallment": "refund",
    "RefundedInInstallments": "refund",
    "RefundedExternally": "refund",
    "RefundedExternallyWithInfo": "refund",
    "RefundedInstallmentExternallyWithInfo": "refund",
    "RefundedReversed": "refund_failure",
    "RefundFailed": "refund_failure",
    "RefundFailed (Sales Day payout)": "refund_failure",
    "RefundNotCleared (Sales Day payout)": "refund_failure",
    "Chargeback": "dispute",
    "SecondChargeback": "dispute",
    "ChargebackExternally": "dispute",
    "ChargebackExternallyWithInfo": "dispute",
    "ChargebackReversed": "dispute_reversal",
    "ChargebackReversedExternally": "dispute_reversal",
    "ChargebackReversedExternallyWithInfo": "dispute_reversal",
    "Fee": "fee",
    "MiscCosts": "fee",
    "InvoiceDeduction": "fee",
    "AuthorisationSchemeFee": "fee",
    "PaymentCost": "fee",
    "SettleCost": "fee",
    "AdvancementCommissionExternallyWithInfo": "fee",
    # The amount of a card payout leaves a balance account; here stands what it cost.
    "BPPaidOut": "fee",
    "DepositCorrection": "reserve",
    "ReserveAdjustment": "reserve",
    "ManualCorrected": "adjustment",
    "MatchedStatement": "adjustment",
    "AdjustmentExternallyWithInfo": "adjustment",
    "EPAPaid": "adjustment",
    "EpaPaid": "adjustment",
    "BalanceTransfer": "transfer",
    "Balancetransfer": "transfer",
    "Balance Transfer": "transfer",
    "InternalCompanyPayout": "transfer",
    "XASTransfer": "transfer",
    "PaidOut": "transfer",
    "PaidOutExternally": "transfer",
    "PaidOutExternallyWithInfo": "transfer",
    "PaidOutReversed": "transfer_reversal",
    "MerchantPayout": "payout",
    "AcquirerPayout": "payout",
    "BankInstructionReturned": "payout_reversal",
    "MerchantPayin": "topup",
    "MerchantPayinReversed": "topup_reversal",
}

PAYOUTS = tuple(type_ for type_, event in EVENTS.items() if event == "payout")

_TRANSFER = "(^|[^a-z0-9])tx[0-9a-z]{4,}xt([^a-z0-9]|$)"

CLAIMS = (
    Claim(field="counterparty_name", pattern="(^|[^a-z0-9])adyen([^a-z0-9]|$)"),
    Claim(field="remittance", pattern="(^|[^a-z0-9])adyen([^a-z0-9]|$)"),
    Claim(field="remittance", pattern=_TRANSFER),
    # Also the beginning of one, as a bank that cuts its texts leaves it.
    Claim(field="remittance", pattern="(^|[^a-z0-9])tx[0-9]{4}", purpose=Purpose.PAYOUT_REFERENCE),
    Claim(field="additional_info", pattern="(^|[^a-z0-9])tx[0-9]{4}", purpose=Purpose.PAYOUT_REFERENCE),
)

CONTRACT = Contract(
    source="adyen_settlement",
    kind=SourceKind.PSP,
    provider="adyen",
    parser_version=1,
    format="csv",
    encoding="utf-8",
    delimiter=",",
    scale=Scale.MAJOR_DECIMAL,
    sign=Sign.DEBIT_CREDIT_COLUMNS,
    # Of a time beside which no zone stands there is none: such a row is put aside.
    time_zone="UTC",
    currency_case=Case.UPPER,
    record_types=(ITEMS,),
    events=EVENTS,
    claims=CLAIMS,
    reference_columns=r"reference$",
    personal_columns=r"e-?mail|phone|mobile|(shopper|holder|first|last)[ _-]?name|address|birth|shopper ip",
)
