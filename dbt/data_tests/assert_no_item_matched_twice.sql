-- Each row is consumed once, on both sides.
select 'ledger' as side, matched.ledger_item_id as item_id
from {{ ref('int_matched_items') }} as matched
where matched.ledger_item_id is not null
group by matched.ledger_item_id
having count(*) > 1

union all

select 'psp' as side, matched.psp_item_id as item_id
from {{ ref('int_matched_items') }} as matched
where matched.psp_item_id is not null
group by matched.psp_item_id
having count(*) > 1

union all

select 'payout' as side, matches.payout_number as item_id
from (
    select matches.payout_number from {{ ref('int_bank_matches') }} as matches
    union all
    select bank_groups.payout_number from {{ ref('int_bank_groups') }} as bank_groups where bank_groups.payout_number is not null
) as matches
group by matches.payout_number
having count(*) > 1

union all

select 'bank' as side, matches.bank_line_id as item_id
from (
    select matches.bank_line_id from {{ ref('int_bank_matches') }} as matches
    union all
    select bank_groups.bank_line_id from {{ ref('int_bank_groups') }} as bank_groups where bank_groups.bank_line_id is not null
) as matches
group by matches.bank_line_id
having count(*) > 1
