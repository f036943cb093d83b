-- Checkpoints by a function with its own check, and the indexes that lists of one account and of one hour read.

-- The only way for the writer to store a checkpoint and to move `signed_size`: over the log as it stands, never backwards,
-- with a note that names this log, this size and this root. Whether its signature holds, keys say and no database does;
-- that is `counterfoil check`'s. Returns where the head was; `stored` is false for one that the head is past or short of.
create function ledger.store_checkpoint(
    in_book text, in_size bigint, in_root bytea, in_frontier bytea, in_note text,
    out size bigint, out signed_size bigint, out stored boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head record;
    peaks bigint := octet_length(in_frontier) / 32;
    root bytea;
begin
    select log_head.origin, log_head.size, log_head.signed_size, log_head.frontier into head
    from ledger.log_head where log_head.book = in_book for update;
    size := head.size;
    signed_size := head.signed_size;
    stored := head.size >= in_size and head.signed_size < in_size;
    if not coalesce(stored, false) then
        stored := false;
        return;
    end if;
    if octet_length(in_frontier) % 32 <> 0 or peaks <> bit_count(in_size::bit(64)) then
        raise exception 'a tree of % records has not these peaks', in_size using errcode = 'check_violation';
    end if;
    -- RFC 6962: the peaks are joined from the smallest on.
    root := substr(in_frontier, (32 * (peaks - 1) + 1)::integer, 32);
    for at in reverse peaks - 2 .. 0 loop
        root := sha256('\x01'::bytea || substr(in_frontier, (32 * at + 1)::integer, 32) || root);
    end loop;
    if root <> in_root or (in_size = head.size and in_frontier <> head.frontier) then
        raise exception 'the tree of % records of book % has another root', in_size, in_book
            using errcode = 'check_violation';
    end if;
    if not starts_with(in_note, head.origin || E'\n' || in_size || E'\n' || encode(in_root, 'base64') || E'\n') then
        raise exception 'the note is not of log %, size % and this root', head.origin, in_size
            using errcode = 'check_violation';
    end if;
    insert into ledger.checkpoints (book, size, root, frontier, note)
    values (in_book, in_size, in_root, in_frontier, in_note);
    update ledger.log_head set signed_size = in_size where log_head.book = in_book;
end
$$;
revoke execute on function ledger.store_checkpoint from public;
grant execute on function ledger.store_checkpoint to counterfoil_writer;

revoke insert on ledger.checkpoints from counterfoil_writer;
revoke insert, update on ledger.log_head from counterfoil_writer;
grant insert (book, origin, size, last_leaf, last_recorded_at, frontier),
    update (size, last_leaf, last_recorded_at, frontier) on ledger.log_head to counterfoil_writer;

-- Lists of one account in the order of the log, and its balance as it was known: without it an account that takes part in
-- every other entry is read from its beginning.
create index postings_by_account on ledger.postings (book, account_id, seq);

-- Lists of a window of business time. Entries come nearly in that order, so a summary of each 32 pages is enough, and costs
-- an append next to nothing; several ranges a summary, because a few come late.
create index entries_effective on ledger.entries
    using brin (effective_at timestamptz_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);

create index entries_corrects on ledger.entries (book, corrects) where corrects is not null;
