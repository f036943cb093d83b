-- The ledger's schema. Signed bytes live in `records`; every other table is a projection that `counterfoil check`
-- re-derives from them. Objects belong to counterfoil_migrator, which cannot log in.

create schema ledger authorization counterfoil_migrator;

-- One row a book: the only mutable row on the write path, and the lock that orders every writer of the book.
create table ledger.log_head (
    book text primary key check (book ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    origin text not null unique,
    size bigint not null default 0 check (size >= 0),
    signed_size bigint not null default 0 check (signed_size >= 0 and signed_size <= size),
    last_leaf bytea not null check (octet_length(last_leaf) = 32),
    last_recorded_at timestamptz,
    -- The peaks of the tree, largest first, 32 bytes each.
    frontier bytea not null check (octet_length(frontier) % 32 = 0)
);

create table ledger.records (
    book text not null,
    seq bigint not null check (seq >= 0),
    kind text not null,
    recorded_at timestamptz not null,
    leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
    canonical bytea not null check (octet_length(canonical) between 2 and 65535),
    primary key (book, seq)
);
-- Journal entries dwarf every other kind; the others must be found without a scan over them.
create index records_other_kinds on ledger.records (book, kind, seq) where kind <> 'journal_entry';

create table ledger.checkpoints (
    book text not null,
    size bigint not null check (size > 0),
    root bytea not null check (octet_length(root) = 32),
    frontier bytea not null check (octet_length(frontier) % 32 = 0),
    note text not null,
    primary key (book, size)
);

-- Full 256-wide tiles of C2SP tlog-tiles. `root` is the tile's own node, so that the level above reads 32 bytes a tile.
create table ledger.tiles (
    book text not null,
    level smallint not null check (level >= 0),
    n bigint not null check (n >= 0),
    root bytea not null check (octet_length(root) = 32),
    hashes bytea not null check (octet_length(hashes) = 8192),
    primary key (book, level, n)
);

create table ledger.accounts (
    book text not null,
    account_id integer not null check (account_id > 0),
    code text not null,
    type text not null check (type in ('asset', 'liability', 'equity', 'revenue', 'expense')),
    normal_balance text not null check (normal_balance in ('debit', 'credit')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null check (status in ('open', 'frozen', 'closed')),
    -- 'allowed', 'forbidden', or the limit in minor units as digits.
    overdraft text not null check (overdraft ~ '^(allowed|forbidden|[1-9][0-9]{0,18})$'),
    metadata jsonb not null,
    -- The record that made the account, and the one that last changed it.
    opened_seq bigint not null,
    changed_seq bigint not null,
    primary key (book, account_id),
    unique (book, code)
);

-- Every version an account ever had, so that a run pinned to an older size reads the chart of that size.
create table ledger.account_versions (
    book text not null,
    seq bigint not null,
    account_id integer not null,
    code text not null,
    type text not null,
    normal_balance text not null,
    currency text not null,
    status text not null,
    overdraft text not null,
    metadata jsonb not null,
    primary key (book, account_id, seq)
);

-- Gross and monotone: a shrinking side is corruption. `last_seq` is the last entry's, or the record that made the account.
create table ledger.balances (
    book text not null,
    account_id integer not null,
    debits numeric(38, 0) not null default 0 check (debits >= 0),
    credits numeric(38, 0) not null default 0 check (credits >= 0),
    last_seq bigint not null,
    primary key (book, account_id)
) with (fillfactor = 50);
-- Every batch rewrites the rows it touches; room on the page keeps that off the index.

create table ledger.entries (
    book text not null,
    seq bigint not null,
    id uuid not null,
    external_id text not null,
    effective_at timestamptz not null,
    description text not null,
    metadata jsonb not null,
    reverses uuid,
    corrects uuid,
    primary key (book, seq)
);
create unique index entries_id on ledger.entries (id);
create unique index entries_external_id on ledger.entries (book, external_id);
create unique index entries_reverses on ledger.entries (book, reverses) where reverses is not null;

create table ledger.postings (
    book text not null,
    seq bigint not null,
    line smallint not null check (line >= 0),
    account_id integer not null,
    direction text not null check (direction in ('debit', 'credit')),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    effective_at timestamptz not null,
    primary key (book, seq, line)
);
-- Statements and balances as of a business time, of one account.
create index postings_account on ledger.postings (book, account_id, effective_at, seq);

-- The answer to a repeated request is a function of (first_seq, count, outcome) and the log: `outcome` has the items that
-- appended nothing, and the checkpoint is always the smallest stored one over the records.
create table ledger.idempotency (
    book text not null,
    route text not null,
    key text not null,
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    first_seq bigint not null,
    count integer not null,
    outcome jsonb not null,
    created_at timestamptz not null default now(),
    primary key (book, route, key)
);
-- For the nightly removal of old keys, which would read the whole table otherwise.
create index idempotency_by_age on ledger.idempotency (book, created_at);

-- The archive's segments, projected from `export` records.
create table ledger.exports (
    book text not null,
    segment bigint not null,
    closed_on date not null,
    first_seq bigint not null,
    next_seq bigint not null,
    manifest_sha256 text not null,
    uri text not null,
    seq bigint not null,
    primary key (book, segment),
    unique (book, closed_on)
);

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.% is append-only: % refused', tg_table_name, tg_op
        using errcode = 'restrict_violation',
              hint = 'A correction is a new record: reverse the entry or post an adjustment.';
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['records', 'checkpoints', 'tiles', 'account_versions', 'entries', 'postings', 'exports'] loop
        execute format(
            'create trigger append_only before update or delete or truncate on ledger.%I '
            'for each statement execute function ledger.refuse_change()', name);
    end loop;
end
$$;

-- Statement-level, over the transition table: it sees every row of a COPY once, where a deferred row trigger costs a third.
create function ledger.refuse_unbalanced() returns trigger language plpgsql as $$
declare
    culprit record;
begin
    select book, seq, currency into culprit
    from new_postings
    group by book, seq, currency
    having sum(case direction when 'debit' then amount_minor::numeric else -amount_minor::numeric end) <> 0
    limit 1;
    if found then
        raise exception 'entry % of book % does not balance in %', culprit.seq, culprit.book, culprit.currency
            using errcode = 'check_violation';
    end if;
    return null;
end
$$;

create trigger balanced after insert on ledger.postings
    referencing new table as new_postings
    for each statement execute function ledger.refuse_unbalanced();

-- What dbt, exports and events may read of the ledger: signed records only.
create view ledger.posted_entries as
select
    entry.book, entry.seq, entry.id, entry.external_id, entry.effective_at, record.recorded_at,
    entry.description, entry.metadata, entry.reverses, entry.corrects
from ledger.entries as entry
-- Left, though every entry has its record: a reader that asks for no `recorded_at` is spared the join.
left join ledger.records as record using (book, seq)
inner join ledger.log_head as head using (book)
where entry.seq < head.signed_size;

create view ledger.posted_postings as
select
    posting.book, posting.seq, posting.line, posting.account_id, posting.direction,
    posting.amount_minor, posting.currency, posting.effective_at
from ledger.postings as posting
inner join ledger.log_head as head using (book)
where posting.seq < head.signed_size;

create view ledger.posted_account_versions as
select
    version.book, version.seq, version.account_id, version.code, version.type, version.normal_balance,
    version.currency, version.status, version.overdraft, version.metadata
from ledger.account_versions as version
inner join ledger.log_head as head using (book)
where version.seq < head.signed_size;

create view ledger.posted_balances as
select balance.book, balance.account_id, balance.debits, balance.credits, balance.last_seq, head.size, head.signed_size
from ledger.balances as balance
inner join ledger.log_head as head using (book);

grant usage on schema ledger to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant select on all tables in schema ledger to counterfoil_writer, counterfoil_reader, counterfoil_auditor, counterfoil_dagster;
grant select on ledger.posted_entries, ledger.posted_postings, ledger.posted_account_versions, ledger.posted_balances
    to counterfoil_dbt;
grant insert on ledger.records, ledger.checkpoints, ledger.tiles, ledger.account_versions, ledger.entries, ledger.postings,
    ledger.exports to counterfoil_writer;
grant insert, update on ledger.log_head, ledger.accounts, ledger.balances to counterfoil_writer;
grant insert, update, delete on ledger.idempotency to counterfoil_writer;
