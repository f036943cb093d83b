{{ config(indexes=[{'columns': ['entry_id']}]) }}
-- One row per reversal inside the cut.
select entries.seq, entries.entry_id, entries.reverses
from {{ ref('stg_ledger__entries') }} as entries
where entries.reverses is not null
