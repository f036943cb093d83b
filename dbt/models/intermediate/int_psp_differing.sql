-- One row per PSP item that some difference concerns: unmatched, unequal, ambiguous, or of a type that nobody maps.
select unmatched.*
from {{ ref('int_psp_unmatched') }} as unmatched

union all

select items.*
from {{ ref('int_psp_items') }} as items
where not exists (
        select 1 from {{ ref('int_psp_unmatched') }} as unmatched where unmatched.psp_item_id = items.psp_item_id
    )
    and (
        items.event is null
        or exists (
            select 1 from {{ ref('int_match_unequal') }} as matched_unequal where matched_unequal.psp_item_id = items.psp_item_id
        )
    )
