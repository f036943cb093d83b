"""Bank statements as ISO 20022 camt.053 writes them; which of their lines are whose is said by the providers.

Source: the message definitions camt.053.001.02 to .13 (iso20022.org, bank-to-customer cash management). One file is
one or several statements; a statement becomes one row of `statements`, an entry one row of `lines`, or one for each of
its details when these carry amounts that add up to it. Who and what an entry and its details name stands whole in
`extra` of its line: `parties`, `references`, `texts`.
"""

from __future__ import annotations

from ingest.contract.vocabulary import Case, Column, Contract, Kind, RecordType, Scale, Sign, SourceKind

VERSIONS = tuple(f"{version:02d}" for version in range(2, 14))
NAMESPACES = {f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}": version for version in VERSIONS}

STATEMENTS = RecordType(
    name="statements",
    table="raw.camt053_statements",
    reports=tuple(f"camt.053.001.{version}" for version in VERSIONS),
    dated_by="closing_on",
    columns=(
        Column(name="statement_id", kind=Kind.ID, mandatory=True, required=True),
        Column(name="electronic_sequence"),
        Column(name="legal_sequence"),
        Column(name="account_iban", kind=Kind.ID, mandatory=True, required=True),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        Column(name="from_at"),
        Column(name="to_at"),
        Column(name="created_at"),
        Column(name="page"),
        Column(name="is_last_page"),
        Column(name="opening_amount", kind=Kind.AMOUNT, currency="currency", indicator="opening_indicator"),
        Column(name="opening_indicator"),
        Column(name="opening_on", kind=Kind.DATE),
        Column(name="closing_amount", kind=Kind.AMOUNT, currency="currency", indicator="closing_indicator"),
        Column(name="closing_indicator"),
        Column(name="closing_on", kind=Kind.DATE),
    ),
)

LINES = RecordType(
    name="lines",
    table="raw.camt053_lines",
    reports=STATEMENTS.reports,
    dated_by="booked_on",
    columns=(
        Column(name="entry_reference", kind=Kind.ID),
        Column(
            name="amount", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency", indicator="indicator"
        ),
        Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
        # CRDT or DBIT; the sign is here already when the entry is a reversal.
        Column(name="indicator", mandatory=True, required=True),
        Column(name="is_reversal"),
        Column(name="status", mandatory=True, required=True),
        Column(name="booked_on", kind=Kind.DATE),
        Column(name="value_on", kind=Kind.DATE),
        Column(name="account_servicer_reference", kind=Kind.ID),
        Column(name="bank_transaction_code"),
        Column(name="end_to_end_id", kind=Kind.ID),
        Column(name="instruction_id", kind=Kind.ID),
        Column(name="transaction_id", kind=Kind.ID),
        Column(name="structured_reference", kind=Kind.ID),
        Column(name="remittance", free_text=True),
        # The claims need it: who paid is what says whose line it is.
        Column(name="counterparty_name"),
        Column(name="counterparty_iban", kind=Kind.ID),
        Column(name="additional_info", free_text=True),
    ),
)

CONTRACT = Contract(
    source="camt053",
    kind=SourceKind.BANK,
    provider=None,
    parser_version=3,
    format="xml",
    encoding="utf-8",
    scale=Scale.MAJOR_DECIMAL,
    sign=Sign.DR_CR,
    time_zone="UTC",
    currency_case=Case.UPPER,
    credit_word="CRDT",
    debit_word="DBIT",
    record_types=(STATEMENTS, LINES),
)
