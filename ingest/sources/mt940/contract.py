"""Bank statements as MT940 writes them; which of their lines are whose is said by the providers.

Source: SWIFT User Handbook, MT940 Customer Statement Message. A message is one statement or a page of one and becomes a
row of `statements`, a `:61:` with its `:86:` a row of `lines`. Amounts stay as they came, with the comma of SWIFT; days
are written with their year, which an MT940 leaves to the reader. Who and what an entry names stands whole in `extra`:
`parties`, `references`, `texts`.
"""

from __future__ import annotations

from ingest.contract.vocabulary import Case, Column, Contract, Kind, RecordType, Scale, Sign, SourceKind

STATEMENTS = RecordType(
    name="statements",
    table="raw.mt940_statements",
    reports=("MT940",),
    dated_by="closing_on",
    columns=(
        Column(name="statement_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="related_reference", kind=Kind.ID),
        Column(name="account", kind=Kind.ID, mandatory=True, required=True),
        # The same account in every format: the IBAN where it can be told.
        Column(name="account_iban", kind=Kind.ID, mandatory=True, required=True),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        Column(name="sequence"),
        Column(name="page"),
        Column(name="is_last_page"),
        Column(name="created_at"),
        Column(name="opening_amount", kind=Kind.AMOUNT, currency="currency", indicator="opening_indicator"),
        Column(name="opening_indicator"),
        Column(name="opening_on", kind=Kind.DATE),
        Column(name="closing_amount", kind=Kind.AMOUNT, currency="currency", indicator="closing_indicator"),
        Column(name="closing_indicator"),
        Column(name="closing_on", kind=Kind.DATE),
        # The first day of entry, and the day with which the statement ends whose page this is.
        Column(name="entered_from", kind=Kind.DATE),
        Column(name="ends_on", kind=Kind.DATE),
    ),
)

LINES = RecordType(
    name="lines",
    table="raw.mt940_lines",
    reports=STATEMENTS.reports,
    dated_by="booked_on",
    columns=(
        Column(
            name="amount", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency", indicator="indicator"
        ),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        # C, D, RC, RD, EC, ED as it came, and the side on which the money moved: C or D.
        Column(name="mark", mandatory=True, required=True),
        Column(name="indicator", mandatory=True, required=True),
        Column(name="funds_code"),
        Column(name="booked_on", kind=Kind.DATE),
        Column(name="value_on", kind=Kind.DATE, mandatory=True, required=True),
        Column(name="type"),
        Column(name="customer_reference", kind=Kind.ID),
        Column(name="bank_reference", kind=Kind.ID),
        Column(name="supplementary", free_text=True),
        Column(name="transaction_code"),
        Column(name="end_to_end_id", kind=Kind.ID),
        Column(name="instruction_id", kind=Kind.ID),
        Column(name="mandate_id", kind=Kind.ID),
        Column(name="structured_reference", kind=Kind.ID),
        Column(name="remittance", free_text=True),
        # The claims need it: who paid is what says whose line it is.
        Column(name="counterparty_name"),
        Column(name="counterparty_account", kind=Kind.ID),
        Column(name="additional_info", free_text=True),
    ),
)

CONTRACT = Contract(
    source="mt940",
    kind=SourceKind.BANK,
    provider=None,
    parser_version=1,
    format="mt940",
    # Where a field is UTF-8 it is read as that.
    encoding="windows-1252",
    scale=Scale.MAJOR_DECIMAL,
    sign=Sign.DR_CR,
    time_zone="UTC",
    currency_case=Case.UPPER,
    credit_word="C",
    debit_word="D",
    record_types=(STATEMENTS, LINES),
)
