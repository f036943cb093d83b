-- Every item of leg A is matched, or in one difference, or moved nothing.
with matched as (

    select matched.ledger_item_id, matched.psp_item_id from {{ ref('int_matched_items') }} as matched

),

ambiguous as (

    select ambiguous.ledger_item_id, ambiguous.psp_item_id from {{ ref('int_match_ambiguous') }} as ambiguous

)

select 'ledger' as side, unmatched.ledger_item_id as item_id
from {{ ref('int_ledger_unmatched') }} as unmatched
where exists (select 1 from matched where matched.ledger_item_id = unmatched.ledger_item_id)

union all

select 'psp' as side, unmatched.psp_item_id as item_id
from {{ ref('int_psp_unmatched') }} as unmatched
where exists (select 1 from matched where matched.psp_item_id = unmatched.psp_item_id)

union all

select 'ledger' as side, ambiguous.ledger_item_id as item_id
from ambiguous
where ambiguous.ledger_item_id is not null
group by ambiguous.ledger_item_id
having count(*) > 1

union all

select 'psp' as side, ambiguous.psp_item_id as item_id
from ambiguous
where ambiguous.psp_item_id is not null
group by ambiguous.psp_item_id
having count(*) > 1
