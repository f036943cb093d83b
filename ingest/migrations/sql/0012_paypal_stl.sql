-- What `paypal_stl` brings, as it came; printed by `python -m ingest.ddl paypal_stl`.

create table raw.paypal_stl_items (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    transaction_id text,
    invoice_id text,
    reference_id text,
    reference_id_type text,
    event_code text,
    initiated_at text,
    completed_at text,
    gross_side text,
    gross_amount text,
    gross_currency text,
    fee_side text,
    fee_amount text,
    fee_currency text,
    custom_field text,
    payment_tracking_id text,
    store_id text,
    bank_reference_id text,
    credit_transactional_fee text,
    credit_promotional_fee text,
    credit_term text,
    selected_on text,
    section text,
    section_account text,
    section_from text,
    section_to text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create trigger written_once before update or delete or truncate on raw.paypal_stl_items
    for each statement execute function raw.refuse_change();

grant select on raw.paypal_stl_items
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.paypal_stl_items to counterfoil_writer;
