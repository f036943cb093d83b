-- What providers told us by webhook, each event once: written by the API in one transaction before it answers, worked off by any
-- number of workers. The payload holds personal data and lies encrypted under a key of `ops.file_keys`, as landed bytes do.

create table ops.webhook_keys (
    -- The key itself lies wrapped in `ops.file_keys`, under this id. Dropping that row makes noise of all that it encrypted.
    key_id uuid primary key,
    created_at timestamptz not null
);

create table ops.webhook_inbox (
    inbox_id bigint generated always as identity primary key,
    provider text not null,
    account text not null,
    event_id text not null,
    book text not null,
    type text not null,
    object_id text not null,
    -- Orders the versions of one object in one type of event; whatever the provider gives for it.
    object_version bigint not null,
    -- Of what was said of the object, card numbers masked: by it a second event of one fact is known.
    told_sha256 bytea not null check (octet_length(told_sha256) = 32),
    occurred_at timestamptz,
    received_at timestamptz not null,
    trace_id text not null check (trace_id ~ '^[0-9a-f]{32}$'),
    key_id uuid not null references ops.webhook_keys,
    -- Null once the event is settled and its time of keeping is over.
    payload bytea,
    status text not null default 'pending'
        check (status in ('pending', 'posted', 'proposed', 'left', 'ignored', 'duplicate', 'superseded', 'dead')),
    attempts integer not null default 0 check (attempts >= 0),
    -- When it is due; while a worker has it, when it is due again if that worker dies.
    next_attempt_at timestamptz not null,
    reason text,
    entry_ids uuid[] not null default '{}',
    -- Filled in and waiting for a person: the drafts as they would be posted.
    proposal jsonb,
    -- A person said: post it, whatever the policy says.
    approved_by text,
    settled_at timestamptz,
    replays integer not null default 0,
    replayed_by text,
    replayed_at timestamptz,
    constraint webhook_inbox_once unique (provider, account, event_id),
    check ((status = 'pending') = (settled_at is null))
);
create index webhook_inbox_due on ops.webhook_inbox (next_attempt_at, inbox_id) where status = 'pending';
create index webhook_inbox_unhappy on ops.webhook_inbox (status, inbox_id) where status in ('dead', 'proposed');
create index webhook_inbox_kept on ops.webhook_inbox (settled_at) where payload is not null;
create index webhook_inbox_by_key on ops.webhook_inbox (key_id) where payload is not null;

-- The second guard: which version of an object was applied last, by type of event.
create table ops.webhook_facts (
    provider text not null,
    account text not null,
    object_id text not null,
    type text not null,
    object_version bigint not null,
    told_sha256 bytea not null check (octet_length(told_sha256) = 32),
    inbox_id bigint not null references ops.webhook_inbox,
    primary key (provider, account, object_id, type)
);

-- Deliveries that carry an id of their own are taken once, whatever they say the second time.
create table ops.webhook_deliveries (
    provider text not null,
    account text not null,
    delivery_id text not null,
    body_sha256 bytea not null check (octet_length(body_sha256) = 32),
    received_at timestamptz not null,
    primary key (provider, account, delivery_id)
);
create index webhook_deliveries_by_time on ops.webhook_deliveries (received_at);

-- Rows are rewritten a few times in the minute they live, and then lie still.
alter table ops.webhook_inbox set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

grant select, insert, delete on ops.webhook_keys, ops.webhook_deliveries to counterfoil_writer;
grant select, insert, update on ops.webhook_inbox, ops.webhook_facts to counterfoil_writer;
-- Who reads sees what became of an event, never what it said.
grant select (inbox_id, provider, account, event_id, book, type, object_id, object_version, occurred_at, received_at, trace_id,
              status, attempts, next_attempt_at, reason, entry_ids, settled_at, replays, replayed_by, replayed_at, approved_by)
    on ops.webhook_inbox to counterfoil_reader, counterfoil_auditor;
