-- One row per edge whose two items stage 1 left: what the stages after it read.
select edges.*
from {{ ref('int_match_edges') }} as edges
where not exists (
        select 1 from {{ ref('int_match_equal') }} as matched_equal
        where matched_equal.ledger_item_id = edges.ledger_item_id
    )
    and not exists (
        select 1 from {{ ref('int_match_equal') }} as matched_equal
        where matched_equal.psp_item_id = edges.psp_item_id
    )
