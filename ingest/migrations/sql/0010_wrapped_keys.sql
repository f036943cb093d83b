-- The key of a file's bytes lies here wrapped by a key-encryption key that lies elsewhere, and says by which. What an older
-- release left in plain is wrapped by the first landing: only a program reaches the keeper of that key.
alter table ops.file_keys alter column key drop not null;
alter table ops.file_keys
    add column backend text,
    add column wrapping_key text,
    add column key_version text,
    add column wrapped bytea check (octet_length(wrapped) between 1 and 8192),
    add constraint file_keys_plain_or_wrapped check (num_nonnulls(key, wrapped) = 1),
    add constraint file_keys_say_by_whom check (num_nonnulls(backend, wrapping_key, key_version, wrapped) in (0, 4));
-- What is not under the current key; what is plain has no back-end.
create index file_keys_by_whom on ops.file_keys (backend, wrapping_key, key_version);
grant update (key, backend, wrapping_key, key_version, wrapped) on ops.file_keys to counterfoil_writer;
-- What is dropped shall not lie in a dead row until a fifth of the table has followed it.
alter table ops.file_keys set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

create function ops.refuse_erased() returns trigger language plpgsql as $$
begin
    if exists (select from ledger.erased_files as erased where erased.file_id = new.file_id) then
        raise exception 'file % was erased', new.file_id
            using errcode = 'restrict_violation', hint = 'An erasure stands for ever: its key is not put back.';
    end if;
    return new;
end
$$;
create trigger stays_erased before insert on ops.file_keys for each row execute function ops.refuse_erased();

-- Whether bytes that land were erased before, under whatever interval or account.
create index files_by_bytes on raw.files (coalesce(content_hmac, sha256));
