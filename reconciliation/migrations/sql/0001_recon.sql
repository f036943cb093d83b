-- What has a history in reconciliation: runs, and breaks with their identity. What a run computes is in `analytics`, is made by
-- dbt and can be thrown away: it is a function of the pin.

create schema recon authorization counterfoil_migrator;
create schema analytics authorization counterfoil_migrator;

-- What a run may see. One row for each schema that dbt builds into: `analytics`, and a scratch one when a run is verified.
create table recon.pins (
    target_schema text primary key,
    run_id text not null,
    book text not null,
    as_of date not null,
    -- The book's records below this one exist for the run.
    signed_size bigint not null check (signed_size >= 0),
    grace_business_days integer not null check (grace_business_days >= 0),
    -- The account at a provider that a clearing account belongs to when neither it nor the files say.
    provider_account text not null,
    -- Set when the marts of this pin were built to the end.
    built_at timestamptz
);

create table recon.pin_files (
    target_schema text not null references recon.pins on delete cascade,
    file_id uuid not null,
    -- A number for the run alone: rows are told apart by (file_no, ordinal) in eight bytes.
    file_no integer not null check (file_no > 0),
    primary key (target_schema, file_id),
    unique (target_schema, file_no)
);

create sequence recon.run_ordinals;

create table recon.runs (
    run_id text primary key check (run_id ~ '^[0-9a-f]{64}$'),
    book text not null,
    as_of date not null,
    signed_size bigint not null,
    code_version text not null,
    verdict text not null check (verdict in ('incomplete', 'breaks', 'reconciled_with_pending', 'reconciled')),
    -- False for a run of an older day than the one before it: such a run restates its day and touches no break.
    merged boolean not null,
    counts jsonb not null,
    -- Why the verdict is `incomplete`: [{kind, source, account, subject, detail}].
    reasons jsonb not null default '[]',
    manifest jsonb not null,
    -- Canonical bytes of the manifest hash to this; the log's record carries the same manifest.
    manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    -- Where the run stands among the runs of its book, by when it was last merged: a run that is gone back to moves up.
    ordinal bigint not null default nextval('recon.run_ordinals'),
    created_at timestamptz not null,
    -- Null until the log has taken the manifest.
    record_seq bigint
);
create index runs_by_day on recon.runs (book, as_of, ordinal);

-- The files of each run in full; the manifest in the log carries their number and one hash over all of them.
create table recon.run_files (
    run_id text not null references recon.runs on delete cascade,
    file_id uuid not null,
    primary key (run_id, file_id)
);

-- Match rates of every run, for the chart over runs.
create table recon.run_rates (
    run_id text not null references recon.runs on delete cascade,
    leg text not null check (leg in ('A', 'B')),
    provider text not null,
    account text not null,
    currency text not null,
    matched bigint not null,
    pending bigint not null,
    breaks bigint not null,
    primary key (run_id, leg, provider, account, currency)
);

create table recon.breaks (
    book text not null,
    break_id text not null check (break_id ~ '^[0-9a-f]{64}$'),
    leg text not null check (leg in ('A', 'B')),
    provider text not null,
    account text not null,
    sign smallint not null check (sign between -1 and 1),
    class text not null,
    key text not null,
    keys text[] not null,
    currency text not null,
    -- Differs from `currency` in a `currency_mismatch` alone.
    ledger_currency text,
    amount_minor numeric(38, 0) not null,
    ledger_amount_minor numeric(38, 0),
    psp_amount_minor numeric(38, 0),
    bank_amount_minor numeric(38, 0),
    priority text not null,
    status text not null check (status in ('open', 'closed')),
    opened_on date not null,
    grace_until date,
    closed_on date,
    resolution text,
    assignee text,
    rule text not null,
    rule_version integer not null,
    evidence jsonb not null default '[]',
    first_run_id text not null,
    -- The last run that found it, and the day it was found as of.
    run_id text not null,
    as_of date not null,
    primary key (book, break_id),
    check ((status = 'closed') = (closed_on is not null)),
    check ((status = 'closed') = (resolution is not null))
);
create index breaks_open on recon.breaks (book, priority, opened_on) where status = 'open';

-- How a difference finds the break it belongs to: ids that are unique on their side.
create table recon.break_keys (
    book text not null,
    leg text not null,
    provider text not null,
    account text not null,
    kind text not null,
    key text not null,
    sign smallint not null,
    currency text not null,
    break_id text not null,
    primary key (book, leg, provider, account, kind, key, sign, currency),
    foreign key (book, break_id) references recon.breaks
);
create index break_keys_of on recon.break_keys (book, break_id);

-- What happened to a break, one row an event: its history when its row says only how it stands.
create table recon.break_events (
    book text not null,
    break_id text not null,
    run_id text not null,
    -- The run's ordinal at the merge that this happened in.
    run_ordinal bigint not null,
    event text not null check (event in ('opened', 'closed', 'reopened', 'reclassified', 'changed')),
    -- A business day, never the day of the run.
    happened_on date not null,
    class text not null,
    amount_minor numeric(38, 0) not null,
    was_class text,
    was_amount_minor numeric(38, 0),
    primary key (book, break_id, run_ordinal, event),
    foreign key (book, break_id) references recon.breaks
);
create index break_events_of_run on recon.break_events (book, run_ordinal);

grant usage on schema recon to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant select on all tables in schema recon
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant usage on sequence recon.run_ordinals to counterfoil_writer;
grant insert, update, delete on recon.pins, recon.pin_files to counterfoil_writer;
grant insert, update on recon.runs, recon.breaks to counterfoil_writer;
grant insert on recon.run_files, recon.run_rates, recon.break_events to counterfoil_writer;
grant insert, delete on recon.break_keys to counterfoil_writer;

grant usage, create on schema analytics to counterfoil_dbt;
grant usage on schema analytics to counterfoil_writer, counterfoil_reader, counterfoil_dagster, counterfoil_auditor;
-- Everybody may read what dbt builds, from the moment it is built. Only the role that will own it can promise that.
set role counterfoil_dbt;
alter default privileges grant select on tables
    to counterfoil_writer, counterfoil_reader, counterfoil_dagster, counterfoil_auditor;
set role counterfoil_migrator;
