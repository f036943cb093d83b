-- One row per journal entry inside the pin and the cut.
select
    entries.seq,
    entries.id as entry_id,
    entries.external_id,
    entries.metadata ->> 'reference' as metadata_reference,
    entries.reverses,
    entries.corrects,
    entries.effective_at,
    (entries.effective_at at time zone 'UTC')::date as effective_on
from {{ source('ledger', 'posted_entries') }} as entries
where entries.book = {{ pinned('book') }}
    and entries.seq < {{ pinned('signed_size') }}
    and entries.effective_at < {{ pinned_until() }}
