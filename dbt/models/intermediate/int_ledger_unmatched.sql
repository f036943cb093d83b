-- One row per ledger item that no stage consumed and that is nobody's duplicate.
select items.*
from {{ ref('int_ledger_items') }} as items
where not exists (
        select 1 from {{ ref('int_match_equal') }} as matched_equal where matched_equal.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_unequal') }} as matched_unequal
        where matched_unequal.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_groups') }} as matched_groups where matched_groups.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_shared') }} as shared where shared.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_window') }} as matched_window where matched_window.ledger_item_id = items.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_duplicates') }} as repeated
        where repeated.is_duplicate and repeated.ledger_item_id = items.ledger_item_id
    )
