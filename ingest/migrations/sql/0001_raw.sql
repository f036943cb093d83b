-- What came from outside, as it came. Everything in `raw` is written once: a correction is a new file. The bytes themselves lie
-- encrypted in the object store, under a key a file that `ops.file_keys` holds: erasure drops the key.

create schema raw authorization counterfoil_migrator;
create schema ops authorization counterfoil_migrator;

create table raw.files (
    file_id uuid primary key,
    book text not null,
    source text not null,
    provider text not null,
    account text not null,
    name text not null,
    -- Of the bytes as they came, and of the bytes as they were stored: these differ when a card number was masked.
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    stored_sha256 text not null check (stored_sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint not null check (bytes > 0),
    object_name text not null,
    received_at timestamptz not null,
    record_type text not null,
    interval_from date,
    interval_to date,
    first_on date,
    last_on date,
    parser_version integer not null,
    status text not null check (status in ('landed')),
    -- The older version of this file: same name, same days, other bytes.
    supersedes uuid references raw.files,
    rows_read bigint not null,
    rows_accepted bigint not null,
    rows_quarantined bigint not null,
    warnings jsonb not null default '[]',
    unique (book, source, account, sha256),
    check (rows_read = rows_accepted + rows_quarantined),
    check (interval_from <= interval_to)
);
create index files_by_name on raw.files (book, source, account, name, received_at);

create table raw.control_totals (
    file_id uuid not null references raw.files,
    name text not null,
    subject text not null,
    expected text,
    actual text,
    passed boolean not null,
    primary key (file_id, name, subject)
);

create table raw.quarantine (
    quarantine_id bigint generated always as identity primary key,
    file_id uuid not null references raw.files,
    ordinal integer not null check (ordinal > 0),
    line bigint not null check (line > 0),
    code text not null,
    reason text not null,
    -- Without personal columns and card numbers.
    raw text not null,
    row_sha256 bytea not null,
    -- HMAC-SHA-256 under the file's key of the row as it came, when a card number was masked: a bare hash of a masked number
    -- gives the number away.
    original_hmac bytea,
    created_at timestamptz not null,
    unique (file_id, ordinal)
);

-- Which bank lines are a provider's: a mirror of the contracts for the SQL that reads them.
create table raw.bank_claims (
    source text not null,
    provider text not null,
    field text not null,
    pattern text not null,
    primary key (source, provider, field, pattern)
);

-- The providers' types and what they mean to us: a mirror of the contracts.
create table raw.canonical_events (
    source text not null,
    type text not null,
    event text not null,
    primary key (source, type)
);

create table raw.stripe_report_payout_reconciliation (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    automatic_payout_id text,
    automatic_payout_effective_at_utc text,
    automatic_payout_effective_at text,
    balance_transaction_id text,
    created_utc text,
    created text,
    available_on_utc text,
    available_on text,
    currency text,
    gross text,
    fee text,
    net text,
    reporting_category text,
    source_id text,
    description text,
    customer_facing_amount text,
    customer_facing_currency text,
    regulatory_tag text,
    customer_id text,
    charge_id text,
    payment_intent_id text,
    charge_created_utc text,
    charge_created text,
    invoice_id text,
    invoice_number text,
    subscription_id text,
    order_id text,
    payment_method_type text,
    is_link text,
    card_brand text,
    card_funding text,
    card_country text,
    statement_descriptor text,
    dispute_reason text,
    connected_account_id text,
    connected_account_name text,
    connected_account_country text,
    connected_account_direct_charge_id text,
    destination_payment_id text,
    trace_id text,
    trace_id_status text,
    payout_reference_token text,
    payout_statement_descriptor text,
    fee_net_of_withheld_tax text,
    withheld_tax text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.stripe_report_payouts (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    payout_id text,
    effective_at_utc text,
    effective_at text,
    currency text,
    gross text,
    fee text,
    net text,
    reporting_category text,
    balance_transaction_id text,
    description text,
    payout_expected_arrival_date text,
    payout_status text,
    payout_reversed_at text,
    payout_type text,
    payout_description text,
    payout_destination_id text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.camt053_statements (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_id text,
    electronic_sequence text,
    legal_sequence text,
    account_iban text,
    currency text,
    from_at text,
    to_at text,
    created_at text,
    page text,
    is_last_page text,
    opening_amount text,
    opening_indicator text,
    opening_on text,
    closing_amount text,
    closing_indicator text,
    closing_on text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.camt053_lines (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_ordinal integer not null,
    entry_ordinal integer not null,
    detail_ordinal integer not null,
    entry_reference text,
    amount text,
    currency text,
    indicator text,
    is_reversal text,
    status text,
    booked_on text,
    value_on text,
    account_servicer_reference text,
    bank_transaction_code text,
    end_to_end_id text,
    instruction_id text,
    transaction_id text,
    structured_reference text,
    remittance text,
    counterparty_name text,
    counterparty_iban text,
    additional_info text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);


-- The key of a file's bytes in the object store; without it they are noise.
create table ops.file_keys (
    file_id uuid primary key,
    algorithm text not null,
    key bytea not null check (octet_length(key) = 32),
    created_at timestamptz not null
);

-- Files that were refused whole, so that a missing day has an explanation. Nothing of them is stored but this.
create table ops.rejected_files (
    rejected_id bigint generated always as identity primary key,
    book text not null,
    source text not null,
    account text not null,
    name text not null,
    sha256 text,
    bytes bigint,
    code text not null,
    line bigint,
    reason text not null,
    rejected_at timestamptz not null
);
create index rejected_files_by_time on ops.rejected_files (book, rejected_at);

create function raw.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'raw.% is written once: % refused', tg_table_name, tg_op
        using errcode = 'restrict_violation',
              hint = 'What came from outside stays as it came. Land a corrected file: it supersedes the older one.';
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['files', 'control_totals', 'quarantine', 'stripe_report_payout_reconciliation',
                                'stripe_report_payouts', 'camt053_statements', 'camt053_lines'] loop
        execute format(
            'create trigger written_once before update or delete or truncate on raw.%I '
            'for each statement execute function raw.refuse_change()', name);
    end loop;
end
$$;

grant usage on schema raw to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant select on all tables in schema raw
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.files, raw.control_totals, raw.quarantine, raw.stripe_report_payout_reconciliation,
    raw.stripe_report_payouts, raw.camt053_statements, raw.camt053_lines to counterfoil_writer;
grant insert, update, delete on raw.bank_claims, raw.canonical_events to counterfoil_writer;

grant usage on schema ops to counterfoil_writer, counterfoil_reader, counterfoil_dagster, counterfoil_auditor;
grant select on ops.rejected_files to counterfoil_writer, counterfoil_reader, counterfoil_dagster, counterfoil_auditor;
grant insert on ops.rejected_files to counterfoil_writer;
-- Nobody but the landing itself sees a key.
grant select, insert, delete on ops.file_keys to counterfoil_writer;
