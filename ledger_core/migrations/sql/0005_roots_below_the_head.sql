-- A checkpoint below the head is held against the log where that costs next to nothing.

-- The peaks of the tree that has the records up to `to_size` behind those of `in_peaks`; null where one is missing.
create function ledger.peaks_after(in_book text, in_size bigint, in_peaks bytea, to_size bigint) returns bytea
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    peaks bytea := in_peaks;
    at bigint := in_size;
    node bytea;
    level bigint;
begin
    for node in
        select leaf_hash from ledger.records where book = in_book and seq >= in_size and seq < to_size order by seq
    loop
        level := at;
        while level & 1 = 1 loop
            node := sha256('\x01'::bytea || substr(peaks, octet_length(peaks) - 31) || node);
            peaks := substr(peaks, 1, octet_length(peaks) - 32);
            level := level >> 1;
        end loop;
        peaks := peaks || node;
        at := at + 1;
    end loop;
    return case when at = to_size then peaks end;
end
$$;
revoke execute on function ledger.peaks_after from public;

-- The function of 0003, and after its checks these two. The peaks of what both trees hold whole are the same, which costs
-- a comparison. What they do not share is re-derived from the records where there are few of them, up from the checkpoint
-- before or on to the head: 64 take a third of a millisecond. Beyond that the root is `counterfoil check`'s, as is the signature.
create or replace function ledger.store_checkpoint(
    in_book text, in_size bigint, in_root bytea, in_frontier bytea, in_note text,
    out size bigint, out signed_size bigint, out stored boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    few constant bigint := 64;
    head record;
    peaks bigint := octet_length(in_frontier) / 32;
    root bytea;
    shared bigint;
    ours bigint;
    theirs bigint;
    holds boolean;
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
    holds := root = in_root;
    if in_size = head.size then
        holds := holds and in_frontier = head.frontier;
    else
        ours := in_size;
        theirs := head.size;
        while ours <> theirs loop
            ours := ours >> 1;
            theirs := theirs >> 1;
        end loop;
        shared := 32 * bit_count(ours::bit(64));
        holds := holds and substr(in_frontier, 1, shared::integer) = substr(head.frontier, 1, shared::integer);
        if holds and head.size - in_size <= few then
            holds := ledger.peaks_after(in_book, in_size, in_frontier, head.size) = head.frontier;
        elsif holds and in_size - head.signed_size <= few then
            holds := ledger.peaks_after(in_book, head.signed_size, coalesce((
                select checkpoints.frontier from ledger.checkpoints
                where checkpoints.book = in_book and checkpoints.size = head.signed_size
            ), ''), in_size) = in_frontier;
        end if;
    end if;
    if holds is not true then
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
