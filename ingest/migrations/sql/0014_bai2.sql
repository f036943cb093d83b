-- What `bai2` brings, as it came; printed by `python -m ingest.ddl bai2`.

create table raw.bai2_statements (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_id text,
    account text,
    account_iban text,
    currency text,
    as_of_on text,
    as_of_time text,
    as_of_modifier text,
    group_status text,
    sender text,
    receiver text,
    originator text,
    file_number text,
    created_at text,
    opening_amount text,
    closing_amount text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.bai2_lines (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    statement_ordinal integer not null,
    entry_ordinal integer not null,
    detail_ordinal integer not null,
    amount text,
    currency text,
    type_code text,
    indicator text,
    booked_on text,
    value_on text,
    funds_type text,
    bank_reference text,
    customer_reference text,
    end_to_end_id text,
    trace_number text,
    individual_id text,
    company_id text,
    remittance text,
    counterparty_name text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create trigger written_once before update or delete or truncate on raw.bai2_statements
    for each statement execute function raw.refuse_change();
create trigger written_once before update or delete or truncate on raw.bai2_lines
    for each statement execute function raw.refuse_change();

grant select on raw.bai2_statements, raw.bai2_lines
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.bai2_statements, raw.bai2_lines to counterfoil_writer;
