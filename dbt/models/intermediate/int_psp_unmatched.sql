-- One row per PSP item that no stage consumed.
select items.*
from {{ ref('int_psp_items') }} as items
where not exists (
        select 1 from {{ ref('int_match_stage_1') }} as stage_1 where stage_1.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_2') }} as stage_2 where stage_2.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_3') }} as stage_3 where stage_3.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_stage_4') }} as stage_4 where stage_4.psp_item_id = items.psp_item_id
    )
