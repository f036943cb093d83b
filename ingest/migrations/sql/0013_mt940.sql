-- What `mt940` brings, as it came; printed by `python -m ingest.ddl mt940`.

create table raw.mt940_statements (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_id text,
    related_reference text,
    account text,
    account_iban text,
    currency text,
    sequence text,
    page text,
    is_last_page text,
    created_at text,
    opening_amount text,
    opening_indicator text,
    opening_on text,
    closing_amount text,
    closing_indicator text,
    closing_on text,
    entered_from text,
    ends_on text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.mt940_lines (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_ordinal integer not null,
    entry_ordinal integer not null,
    detail_ordinal integer not null,
    amount text,
    currency text,
    mark text,
    indicator text,
    funds_code text,
    booked_on text,
    value_on text,
    type text,
    customer_reference text,
    bank_reference text,
    supplementary text,
    transaction_code text,
    end_to_end_id text,
    instruction_id text,
    mandate_id text,
    structured_reference text,
    remittance text,
    counterparty_name text,
    counterparty_account text,
    additional_info text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create trigger written_once before update or delete or truncate on raw.mt940_statements
    for each statement execute function raw.refuse_change();
create trigger written_once before update or delete or truncate on raw.mt940_lines
    for each statement execute function raw.refuse_change();

grant select on raw.mt940_statements, raw.mt940_lines
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.mt940_statements, raw.mt940_lines to counterfoil_writer;
