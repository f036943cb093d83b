"""Ten years of a company as rows, made where they are measured: files by day, matched items, differences.

Tables of the marts' names and columns by `generate_series`, without the matching that would make them: what is measured
is what a run does after it.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

SCHEMA = "growth"
BOOK = "main"
YEARS = 10
ACCOUNTS = 5
"""At the provider, each with a file a day."""


def make(connection: Connection, rows: int, *, years: int) -> None:
    """Fill `SCHEMA` with `rows` matched items of each side and `raw.files` with the files of `years`."""
    for statement in _TABLES.format(schema=SCHEMA).split(";\n"):
        connection.execute(text(statement))
    for statement in (_MATCHES, _PSP_ITEMS, _LEDGER_ITEMS):
        connection.execute(text(statement.format(schema=SCHEMA)), {"rows": rows})
    connection.execute(text(_FILES), {"days": years * 365, "accounts": ACCOUNTS, "book": BOOK})
    connection.execute(text(_TOTALS))
    # As a model's hook does: a table that has just been written is known to the planner.
    for table in ("fct_matches", "int_psp_items", "int_ledger_items"):
        connection.execute(text(f"analyze {SCHEMA}.{table}"))
    connection.execute(text("analyze raw.files"))
    connection.execute(text("analyze raw.control_totals"))
    connection.commit()


def make_differences(connection: Connection, rows: int) -> None:
    """Add `rows` breaks that nobody has seen before."""
    connection.execute(text(_DIFFERENCES.format(schema=SCHEMA)), {"rows": rows})
    connection.execute(text(f"analyze {SCHEMA}.fct_differences"))


def forget_differences(connection: Connection) -> None:
    """Leave no difference and no break."""
    for table in (f"{SCHEMA}.fct_differences", "recon.break_events, recon.break_keys, recon.breaks"):
        connection.execute(text(f"truncate {table}"))


_TABLES = """
create schema {schema};
create unlogged table {schema}.fct_matches (
    leg text, provider text, account text, currency text, stage smallint, rule text, rule_version integer,
    is_equal boolean, id_kind text, ledger_key text, psp_key text, bank_key text, ledger_amount_minor numeric,
    psp_amount_minor numeric, bank_amount_minor numeric, psp_on date, bank_on date, ledger_count bigint,
    psp_count bigint
);
create unlogged table {schema}.fct_differences (
    difference_id text, leg text, provider text, account text, class text, priority text, status text, key text,
    keys text[], sign smallint, currency text, other_currency text, amount_minor numeric, ledger_amount_minor numeric,
    psp_amount_minor numeric, bank_amount_minor numeric, base_on date, grace_until date, opened_on date, rule text,
    rule_version integer, identity_keys jsonb, evidence jsonb, pending_reason text
);
create unlogged table {schema}.int_psp_items (
    psp_item_id bigint, provider text, account text, psp_transaction_id text, source_id text, charge_id text,
    payment_intent_id text, payout_id text, event text, currency text, gross_minor numeric, fee_minor numeric,
    net_minor numeric, booked_on date, is_amended boolean, is_contradicted boolean
);
create unlogged table {schema}.int_ledger_items (like {schema}.int_psp_items);
create table {schema}.int_psp_payouts (provider text, account text, payout_id text, net_minor numeric);
create table {schema}.int_payout_items (provider text, account text, payout_id text, net_minor numeric);
create table {schema}.int_bank_lines ();
create table {schema}.int_bank_lines_not_ours ();
create table {schema}.int_bank_statements (
    source text, account_iban text, currency text, statement_no bigint, bank_account text, file_no integer,
    starts_on date, opening_on date, stated_on date, opening_minor numeric, closing_minor numeric, page integer
);
create table {schema}.int_awaited_items (provider text, account text, awaits text, effective_on date);
create table {schema}.dim_rule_versions (leg text, stage smallint, rule text, version integer);
create table {schema}.fct_source_findings (kind text, source text, account text, subject text, detail text);
create table {schema}.break_classes (class text, closes_as text);
insert into {schema}.break_classes values ('missing_in_ledger', 'matched_late')"""

_MATCHES = """
insert into {schema}.fct_matches
select
    'A', 'stripe', 'default', 'USD', 1, 'reference_equal', 1, true, 'balance_transaction', 'txn_' || n, 'txn_' || n,
    null, n % 10000, n % 10000, null, date '2026-10-01', null, 1, 1
from generate_series(1, :rows) as n
"""

_PSP_ITEMS = """
insert into {schema}.int_psp_items
select
    n, 'stripe', 'default', 'txn_' || n, 'src_' || n, 'ch_' || n, 'pi_' || n, 'po_' || n / 1000, 'charge', 'USD',
    n % 10000, 30, n % 10000 - 30, date '2026-10-01', n % 1000 = 0, false
from generate_series(1, :rows) as n
"""

_LEDGER_ITEMS = "insert into {schema}.int_ledger_items select * from {schema}.int_psp_items where :rows > 0"

_DIFFERENCES = """
insert into {schema}.fct_differences
select
    'A:' || n, 'A', 'stripe', 'default', 'missing_in_ledger', 'P1', 'break', 'txn_' || n, array['txn_' || n], 1, 'USD',
    'USD', -n, null, n, null, date '2026-10-01', date '2026-10-08', date '2026-10-09', 'reference_equal', 1,
    jsonb_build_array(
        jsonb_build_array('balance_transaction', 'txn_' || n, 'USD'), jsonb_build_array('charge', 'ch_' || n, 'USD')
    ),
    '[]', null
from generate_series(1, :rows) as n
"""

_FILES = """
insert into raw.files (
    file_id, book, source, provider, account, name, sha256, stored_sha256, bytes, object_name, received_at,
    record_type, interval_from, interval_to, first_on, last_on, parser_version, status, rows_read, rows_accepted,
    rows_quarantined
)
select
    gen_random_uuid(), :book, 'stripe_report', 'stripe', 'acct_' || account, 'day_' || day, hashed.digest,
    hashed.digest, 1000, hashed.digest, now(), 'payout_reconciliation', dated.on_day, dated.on_day, dated.on_day,
    dated.on_day, 1, 'landed', 1000, 1000, 0
from generate_series(1, :days) as day
cross join generate_series(1, :accounts) as account
cross join lateral (select encode(sha256(convert_to(account || '.' || day, 'UTF8')), 'hex') as digest) as hashed
cross join lateral (select date '2026-10-31' - day as on_day) as dated
"""

_TOTALS = """
insert into raw.control_totals (file_id, name, subject, expected, actual, passed)
select files.file_id, totals.name, 'USD', '1', '1', true
from raw.files
cross join unnest(array['rows', 'gross', 'net']) as totals (name)
"""
