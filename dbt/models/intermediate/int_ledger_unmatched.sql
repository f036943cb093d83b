-- One row per ledger item that no stage consumed and that is nobody's duplicate.
select items.*
from {{ ref('int_ledger_items') }} as items
where not exists (
        select 1 from {{ ref('int_match_stage_1') }} as stage_1 where stage_1.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_2') }} as stage_2 where stage_2.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_3') }} as stage_3 where stage_3.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_4') }} as stage_4 where stage_4.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_0') }} as stage_0
        where stage_0.is_duplicate and stage_0.ledger_item_id = items.ledger_item_id
    )
