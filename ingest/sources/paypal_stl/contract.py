"""PayPal's Settlement Report as PayPal documents it: records of several types in one CSV.

Source: PayPal's Settlement Report specification (versions 7 to 9: the columns of a body, the footers' sums and counts)
and its reference of event codes. Amounts are unsigned hundredths of every currency, yen included, and their side stands
in a column before them. What moves the balance is gross and fee together. Times carry their distance from UTC.
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
from ingest.sources.paypal_stl.codes import EVENTS

OWN = ("selected_on", "section", "section_account", "section_from", "section_to")
"""What the reader puts beside each row: its day as PayPal counts it, and the section in which it stood."""

ITEMS = RecordType(
    name="items",
    table="raw.paypal_stl_items",
    reports=("STL",),
    # PayPal puts a row into the report of the day on which it was completed, in the zone of the account.
    dated_by="selected_on",
    identified_by=("transaction_id", "event_code", "gross_side", "gross_currency"),
    sliced_by=("section_account", "gross_currency", "event_code"),
    columns=(
        Column(name="transaction_id", kind=Kind.ID, written=("Transaction ID",), mandatory=True, required=True),
        Column(name="invoice_id", kind=Kind.ID, written=("Invoice ID",), mandatory=True),
        Column(name="reference_id", kind=Kind.ID, written=("PayPal Reference ID",), mandatory=True),
        Column(name="reference_id_type", written=("PayPal Reference ID Type",)),
        Column(name="event_code", kind=Kind.ID, written=("Transaction Event Code",), mandatory=True, required=True),
        Column(name="initiated_at", kind=Kind.INSTANT, written=("Transaction Initiation Date",)),
        Column(
            name="completed_at",
            kind=Kind.INSTANT,
            written=("Transaction Completion Date",),
            mandatory=True,
            required=True,
        ),
        Column(name="gross_side", kind=Kind.ID, written=("Transaction Debit or Credit",), mandatory=True),
        Column(
            name="gross_amount",
            kind=Kind.AMOUNT,
            written=("Gross Transaction Amount",),
            mandatory=True,
            required=True,
            currency="gross_currency",
            indicator="gross_side",
        ),
        Column(
            name="gross_currency",
            kind=Kind.CURRENCY,
            written=("Gross Transaction Currency",),
            mandatory=True,
            required=True,
        ),
        Column(name="fee_side", kind=Kind.ID, written=("Fee Debit or Credit",), mandatory=True),
        Column(
            name="fee_amount",
            kind=Kind.AMOUNT,
            written=("Fee Amount",),
            mandatory=True,
            currency="fee_currency",
            indicator="fee_side",
        ),
        Column(name="fee_currency", kind=Kind.CURRENCY, written=("Fee Currency",), mandatory=True),
        # The company's own, whatever it writes there.
        Column(name="custom_field", kind=Kind.ID, free_text=True, written=("Custom Field",)),
        # PayPal's name of the customer.
        Column(name="consumer_id", written=("Consumer ID",), personal=True),
        Column(name="payment_tracking_id", kind=Kind.ID, written=("Payment Tracking ID",)),
        Column(name="store_id", kind=Kind.ID, written=("Store ID",)),
        Column(name="bank_reference_id", kind=Kind.ID, written=("Bank Reference ID",)),
        Column(name="credit_transactional_fee", written=("Credit Transactional Fee",)),
        Column(name="credit_promotional_fee", written=("Credit Promotional Fee",)),
        Column(name="credit_term", written=("Credit Term",)),
        Column(name="selected_on", kind=Kind.DATE),
        *(Column(name=name, kind=Kind.ID) for name in OWN[1:]),
    ),
)

CLAIMS = (
    Claim(field="counterparty_name", pattern="(^|[^a-z0-9])paypal([^a-z0-9]|$)"),
    Claim(field="remittance", pattern="(^|[^a-z0-9])paypal([^a-z0-9]|$)"),
    # The number of a transfer, as PayPal gives it to the bank.
    Claim(field="remittance", pattern="paypal.*(^|[^0-9])[0-9]{10,}([^0-9]|$)", purpose=Purpose.PAYOUT_REFERENCE),
)

CONTRACT = Contract(
    source="paypal_stl",
    kind=SourceKind.PSP,
    provider="paypal",
    parser_version=1,
    format="csv",
    encoding="utf-8",
    delimiter=",",
    scale=Scale.X100_ALWAYS,
    sign=Sign.DR_CR,
    credit_word="CR",
    debit_word="DR",
    time_zone="UTC",
    currency_case=Case.UPPER,
    record_types=(ITEMS,),
    events=EVENTS,
    claims=CLAIMS,
    personal_columns=r"e-?mail|phone|(payer|buyer|consumer|shipping|first|last)[ _-]?(name|id)|address|birth",
)
