-- Private values of entries, beside the log that commits to them, and what was erased.

-- What is sealed, and what opens it: apart, so that a copy of the first without the second is noise.
create table ledger.private_values (
    book text not null,
    seq bigint not null,
    name text collate "C" not null,
    sealed bytea not null,
    primary key (book, seq, name)
);

create table ledger.private_keys (
    book text not null,
    seq bigint not null,
    name text collate "C" not null,
    salt bytea not null check (octet_length(salt) = 16),
    key bytea not null check (octet_length(key) = 32),
    primary key (book, seq, name)
);

-- What is dropped shall not lie in a dead row until a fifth of the table has followed it.
alter table ledger.private_values set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
alter table ledger.private_keys set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

-- Projected from `erasure` records: `seq` is the record's, `entry_seq` the entry's.
create table ledger.erased_values (
    book text not null,
    entry_seq bigint not null,
    name text collate "C" not null,
    seq bigint not null,
    primary key (book, entry_seq, name),
    check (entry_seq < seq)
);
create index erased_values_by_record on ledger.erased_values (book, seq);

-- No hash of the bytes: whoever has it, and the rows that stay, tries what is missing until it fits.
create table ledger.erased_files (
    book text not null,
    file_id uuid not null,
    seq bigint not null,
    primary key (book, file_id)
);

-- Which records a replay brought: of these the archive had no private values to bring. No projection: no record says it.
create table ledger.replays (
    book text not null,
    first_seq bigint not null,
    next_seq bigint not null check (next_seq > first_seq),
    replayed_at timestamptz not null default now(),
    primary key (book, first_seq, next_seq)
);

create function ledger.refuse_private() returns trigger language plpgsql as $$
declare
    kept record;
begin
    if tg_op = 'INSERT' then
        select book, seq, name into kept from new_values
        where exists (
            select 1 from ledger.erased_values as erased
            where erased.book = new_values.book and erased.entry_seq = new_values.seq and erased.name = new_values.name)
        limit 1;
        if found then
            raise exception 'the private value % of entry % of book % was erased', kept.name, kept.seq, kept.book
                using errcode = 'restrict_violation', hint = 'An erasure stands for ever: nothing is put back.';
        end if;
    else
        select book, seq, name into kept from old_values
        where not exists (
            select 1 from ledger.erased_values as erased
            where erased.book = old_values.book and erased.entry_seq = old_values.seq and erased.name = old_values.name)
        limit 1;
        if found then
            raise exception 'no erasure names the private value % of entry % of book %', kept.name, kept.seq, kept.book
                using errcode = 'restrict_violation', hint = 'Append an erasure: `counterfoil erase entry`.';
        end if;
    end if;
    return null;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['private_values', 'private_keys'] loop
        execute format(
            'create trigger append_only before update or truncate on ledger.%I '
            'for each statement execute function ledger.refuse_change()', name);
        execute format(
            'create trigger stays_erased after insert on ledger.%I referencing new table as new_values '
            'for each statement execute function ledger.refuse_private()', name);
        execute format(
            'create trigger erased_by_record after delete on ledger.%I referencing old table as old_values '
            'for each statement execute function ledger.refuse_private()', name);
    end loop;
    foreach name in array array['erased_values', 'erased_files', 'replays'] loop
        execute format(
            'create trigger append_only before update or delete or truncate on ledger.%I '
            'for each statement execute function ledger.refuse_change()', name);
    end loop;
end
$$;

-- Nobody but the writer, which the API and the command line act as, sees a key, a salt or a sealed value.
grant select, insert, delete on ledger.private_values, ledger.private_keys to counterfoil_writer;
grant insert on ledger.erased_values, ledger.erased_files, ledger.replays to counterfoil_writer;
grant select on ledger.erased_values, ledger.erased_files, ledger.replays
    to counterfoil_writer, counterfoil_reader, counterfoil_auditor;
