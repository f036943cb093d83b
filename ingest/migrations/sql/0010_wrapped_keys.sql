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
-- Whether bytes that land were erased before, under whatever interval or account.
create index files_by_bytes on raw.files (coalesce(content_hmac, sha256));
