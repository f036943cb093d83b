-- The feeds that are set by hand, as a run pins them: what is expected when decides what is missing.

create table recon.pin_feeds (
    target_schema text not null references recon.pins on delete cascade,
    source text not null,
    account text not null,
    record_type text not null,
    cadence text not null check (cadence in ('daily', 'business_daily', 'weekly', 'monthly', 'on_movement', 'on_demand')),
    -- Hours after the end of a period by which its file is due; 0 is the period's own midnight.
    due_hour smallint not null check (due_hour between 0 and 240),
    since date,
    primary key (target_schema, source, account, record_type)
);

grant select on recon.pin_feeds
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert, update, delete on recon.pin_feeds to counterfoil_writer;
