-- Which document counts: what a file says of its own time and days, which days of it a newer one replaces, and what was refused.
-- Landing order and names decide nothing: everything here is a function of the files that have landed, whatever order they came in.

alter table raw.files
    -- The document's own time: the end of its interval, else the last instant that it speaks of.
    add column document_at timestamptz,
    -- First and last day on the axis by which the provider selects rows for such a report.
    add column selected_from date,
    add column selected_to date,
    -- The zone of its times, and who says so: its own columns in UTC, the setting of the source, or the contract.
    add column time_zone text,
    add column time_zone_said_by text check (time_zone_said_by in ('columns', 'setting', 'contract')),
    -- What the file alone says of the sign of its payouts: 1 as they reach the bank, -1 as they move the balance. A payout with
    -- a fee tells it for certain; the sign of most of its money is the best guess of a file that nothing else speaks of.
    add column payouts_sign_by_fee smallint check (payouts_sign_by_fee in (-1, 1)),
    add column payouts_sign_by_sum smallint check (payouts_sign_by_sum in (-1, 1)),
    -- HMAC-SHA-256 of the bytes' hash under the installation's key. Where a card number was masked `sha256` holds it as well:
    -- a bare hash beside the masked bytes gives the number away.
    add column content_hmac text check (content_hmac ~ '^[0-9a-f]{64}$'),
    add check (selected_from <= selected_to);

-- Days of a file that a newer version of it replaces. Written by whichever of the two lands second.
create table raw.file_replacements (
    older_id uuid not null references raw.files,
    newer_id uuid not null references raw.files,
    first_on date not null,
    last_on date not null,
    primary key (older_id, newer_id),
    check (older_id <> newer_id),
    check (first_on <= last_on)
);
create index file_replacements_by_newer on raw.file_replacements (newer_id);

-- How many payouts of a file have the sign of the sum of their items in another, or the opposite one; `exact`: and its amount.
create table raw.payout_signs (
    file_id uuid not null references raw.files,
    items_file_id uuid not null references raw.files,
    exact_same integer not null,
    exact_opposite integer not null,
    near_same integer not null,
    near_opposite integer not null,
    primary key (file_id, items_file_id)
);

-- Files that landed before these columns: a report of one name over days of another replaced it as a whole, as it did then.
insert into raw.file_replacements (older_id, newer_id, first_on, last_on)
select
    older.file_id, newer.file_id,
    greatest(coalesce(older.interval_from, older.first_on), coalesce(newer.interval_from, newer.first_on)),
    least(coalesce(older.interval_to, older.last_on), coalesce(newer.interval_to, newer.last_on))
from raw.files as newer
inner join raw.files as older on newer.supersedes = older.file_id
inner join raw.sources as sources on sources.source = newer.source and sources.record_type = newer.record_type
where sources.kind <> 'bank'
    and coalesce(older.interval_from, older.first_on) <= coalesce(newer.interval_to, newer.last_on)
    and coalesce(newer.interval_from, newer.first_on) <= coalesce(older.interval_to, older.last_on);

-- What stands in the text of a row put aside that names the row and its day.
alter table raw.sources add column identified_by text, add column dated_by text;
update raw.sources set identified_by = 'balance_transaction_id' where source = 'stripe_report';
update raw.sources set dated_by = case
    when source = 'stripe_report' and record_type = 'payouts' then 'effective_at_utc'
    when source = 'stripe_report' then 'created_utc'
    when record_type = 'statements' then 'closing_on'
    else 'booked_on'
end
where source in ('stripe_report', 'camt053');

-- A refused file: as much of what it is as could be read before it was refused.
alter table ops.rejected_files
    add column record_type text,
    add column first_on date,
    add column last_on date;

create table ops.hash_key (
    is_the_one boolean primary key default true check (is_the_one),
    key bytea not null check (octet_length(key) = 32)
);
insert into ops.hash_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

drop view raw.current_files;

-- One row per landed file: the days it covers, those of them that count, and what replaced the rest. A bank's file covers what its
-- statements do, and which of those count is for the statements to say.
create view raw.current_files as
with spans as (
    select
        file.file_id,
        coalesce(file.interval_from, file.selected_from, file.first_on) as covers_from,
        coalesce(file.interval_to, file.selected_to, file.last_on) as covers_to
    from raw.files as file
),

replaced as (
    select
        replacements.older_id,
        range_agg(daterange(replacements.first_on, replacements.last_on, '[]')) as replaced_days,
        array_agg(replacements.newer_id order by newer.document_at desc nulls last, newer.sha256) as replaced_by
    from raw.file_replacements as replacements
    inner join raw.files as newer on newer.file_id = replacements.newer_id
    group by replacements.older_id
)

select
    file.file_id, file.book, file.source, file.provider, file.account, file.name, file.sha256, file.bytes, file.received_at,
    file.record_type, file.interval_from, file.interval_to, file.first_on, file.last_on, file.selected_from, file.selected_to,
    file.document_at, file.time_zone, file.time_zone_said_by, file.payouts_sign_by_fee, file.payouts_sign_by_sum,
    file.parser_version, file.status, file.rows_read, file.rows_accepted, file.rows_quarantined, file.warnings,
    file.content_hmac,
    spans.covers_from, spans.covers_to,
    covered.days - coalesce(replaced.replaced_days, '{}') as counting_days,
    coalesce(replaced.replaced_by, '{}') as replaced_by,
    replaced.replaced_by[1] as superseded_by,
    newest.name as superseded_by_name,
    replaced.older_id is null
    or not isempty(covered.days - replaced.replaced_days) as is_current
from raw.files as file
inner join spans on spans.file_id = file.file_id
cross join lateral (
    -- A file without rows and without an interval covers no day.
    select case when spans.covers_from is null then '{}' else datemultirange(daterange(spans.covers_from, spans.covers_to, '[]')) end
) as covered (days)
left join replaced on replaced.older_id = file.file_id
left join raw.files as newest on newest.file_id = replaced.replaced_by[1];

-- Refused files, for those who must say what is missing.
create view raw.refused_files as
select
    rejected.rejected_id, rejected.book, rejected.source, rejected.account, rejected.name, rejected.sha256 as content_hmac,
    rejected.record_type, rejected.first_on, rejected.last_on, rejected.code, rejected.line, rejected.reason, rejected.rejected_at
from ops.rejected_files as rejected;

create trigger written_once before update or delete or truncate on raw.file_replacements
    for each statement execute function raw.refuse_change();
create trigger written_once before update or delete or truncate on raw.payout_signs
    for each statement execute function raw.refuse_change();

grant select on raw.current_files, raw.file_replacements, raw.payout_signs, raw.refused_files
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.file_replacements, raw.payout_signs to counterfoil_writer;
grant select on ops.hash_key to counterfoil_writer;
