-- What `stripe_api` brings, as it came; printed by `python -m ingest.ddl stripe_api`.

create table raw.stripe_api_balance_transactions (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    id text,
    created text,
    currency text,
    amount text,
    fee text,
    net text,
    exchange_rate text,
    available_on text,
    type text,
    reporting_category text,
    status text,
    balance_type text,
    description text,
    fee_details text,
    payout text,
    source text,
    source_object text,
    source_charge text,
    source_payment_intent text,
    source_payment_method_details_type text,
    source_metadata_reference text,
    source_metadata_order_id text,
    source_metadata_order text,
    source_metadata_external_identifier text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.stripe_api_payouts (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    id text,
    created text,
    currency text,
    amount text,
    arrival_date text,
    status text,
    type text,
    method text,
    automatic text,
    reconciliation_status text,
    balance_transaction text,
    balance_transaction_fee text,
    balance_transaction_net text,
    failure_balance_transaction text,
    failure_code text,
    original_payout text,
    reversed_by text,
    source_type text,
    destination text,
    description text,
    statement_descriptor text,
    trace_id_status text,
    trace_id_value text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create table raw.stripe_api_disputes (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    id text,
    created text,
    currency text,
    amount text,
    status text,
    reason text,
    charge text,
    payment_intent text,
    is_charge_refundable text,
    network_reason_code text,
    evidence_details_due_by text,
    balance_transactions text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create trigger written_once before update or delete or truncate on raw.stripe_api_balance_transactions
    for each statement execute function raw.refuse_change();
create trigger written_once before update or delete or truncate on raw.stripe_api_payouts
    for each statement execute function raw.refuse_change();
create trigger written_once before update or delete or truncate on raw.stripe_api_disputes
    for each statement execute function raw.refuse_change();

grant select on raw.stripe_api_balance_transactions, raw.stripe_api_payouts, raw.stripe_api_disputes
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.stripe_api_balance_transactions, raw.stripe_api_payouts, raw.stripe_api_disputes to counterfoil_writer;

-- Which items of a document were known before is asked by their id.
create index stripe_api_balance_transactions_by_id on raw.stripe_api_balance_transactions (id);

alter table raw.sources drop constraint sources_carries_check;
alter table raw.sources add constraint sources_carries_check
    check (carries in ('items', 'payouts', 'items_and_payouts', 'bank', 'nothing'));

-- How far each list of an account has been swept, and what is left of a sweep that was stopped: from `slice_from` on, up to
-- `window_until`. `seen_first` counts what no file and no sweep had brought before.
create table ops.sweeps (
    book text not null,
    source text not null,
    account text not null,
    list text not null,
    swept_until timestamptz,
    slice_from timestamptz,
    window_until timestamptz,
    objects bigint not null default 0 check (objects >= 0),
    seen_first bigint not null default 0 check (seen_first >= 0),
    updated_at timestamptz not null,
    primary key (book, source, account, list),
    check (num_nonnulls(slice_from, window_until) in (0, 2))
);
grant select on ops.sweeps to counterfoil_writer, counterfoil_reader, counterfoil_auditor;
grant insert, update on ops.sweeps to counterfoil_writer;
