-- One row per PSP item that no stage consumed.
select items.*
from {{ ref('int_psp_items') }} as items
where not exists (
        select 1 from {{ ref('int_match_equal') }} as matched_equal where matched_equal.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_unequal') }} as matched_unequal where matched_unequal.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_groups') }} as matched_groups where matched_groups.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_shared') }} as shared where shared.psp_item_id = items.psp_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_window') }} as matched_window where matched_window.psp_item_id = items.psp_item_id
    )
