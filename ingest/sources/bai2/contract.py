"""Bank reports as BAI2 writes them; which of their lines are whose is said by the providers.

Source: BAI, Cash Management Balance Reporting Specifications, Version 2. An account of a group (03 to 49) states one
day and becomes a row of `statements`, a detail (16) a row of `lines`. Amounts are whole minor units of the
account's currency without a point; balances may carry a sign, details never: the type code says the side. Who and what
a detail names stands whole in `extra`: `parties`, `references`, `texts`.
"""

from __future__ import annotations

from ingest.contract.vocabulary import Case, Column, Contract, Kind, RecordType, Scale, Sign, SourceKind

STATEMENTS = RecordType(
    name="statements",
    table="raw.bai2_statements",
    reports=("BAI2",),
    dated_by="as_of_on",
    columns=(
        # Who sent it, and which of several of one account and day: BAI2 numbers no statement.
        Column(name="statement_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="account", kind=Kind.ID, mandatory=True, required=True),
        # The same account in every format: the IBAN where there is one.
        Column(name="account_iban", kind=Kind.ID, mandatory=True, required=True),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        Column(name="as_of_on", kind=Kind.DATE, mandatory=True, required=True),
        Column(name="as_of_time"),
        Column(name="as_of_modifier"),
        Column(name="group_status"),
        Column(name="sender", kind=Kind.ID),
        Column(name="receiver", kind=Kind.ID),
        Column(name="originator", kind=Kind.ID),
        Column(name="file_number", kind=Kind.ID),
        Column(name="created_at"),
        Column(name="opening_amount", kind=Kind.AMOUNT, currency="currency"),
        Column(name="closing_amount", kind=Kind.AMOUNT, currency="currency"),
    ),
)

LINES = RecordType(
    name="lines",
    table="raw.bai2_lines",
    reports=STATEMENTS.reports,
    dated_by="booked_on",
    columns=(
        # A remark (890) has neither amount nor side.
        Column(name="amount", kind=Kind.AMOUNT, mandatory=True, currency="currency", indicator="indicator"),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        Column(name="type_code", mandatory=True, required=True),
        # C or D, by the type code.
        Column(name="indicator", mandatory=True),
        Column(name="booked_on", kind=Kind.DATE, mandatory=True, required=True),
        Column(name="value_on", kind=Kind.DATE),
        Column(name="funds_type"),
        Column(name="bank_reference", kind=Kind.ID),
        Column(name="customer_reference", kind=Kind.ID),
        Column(name="end_to_end_id", kind=Kind.ID),
        Column(name="trace_number", kind=Kind.ID),
        Column(name="individual_id", kind=Kind.ID),
        Column(name="company_id", kind=Kind.ID),
        Column(name="remittance", free_text=True),
        # The claims need it: who paid is what says whose line it is.
        Column(name="counterparty_name"),
    ),
)

CONTRACT = Contract(
    source="bai2",
    kind=SourceKind.BANK,
    provider=None,
    parser_version=1,
    format="bai2",
    # Where a record is UTF-8 it is read as that.
    encoding="windows-1252",
    scale=Scale.API_MINOR,
    sign=Sign.DR_CR,
    time_zone="UTC",
    currency_case=Case.UPPER,
    credit_word="C",
    debit_word="D",
    record_types=(STATEMENTS, LINES),
)
