-- Every bank line that takes part and every payout that is awaited is matched, or a difference, once.
with told as (

    select matches.payout_number, matches.bank_line_id from {{ ref('int_bank_matches') }} as matches
    union all
    select bank_groups.payout_number, bank_groups.bank_line_id from {{ ref('int_bank_groups') }} as bank_groups
    union all
    select unmatched.payout_number, unmatched.bank_line_id from {{ ref('int_bank_unmatched') }} as unmatched

)

select 'bank' as side, lines.bank_line_id as item_id
from {{ ref('int_bank_lines') }} as lines
left join told
    on lines.bank_line_id = told.bank_line_id
where not lines.is_cancelled
group by lines.bank_line_id
having count(told.bank_line_id) <> 1

union all

select 'payout' as side, transfers.payout_number as item_id
from {{ ref('int_transfers') }} as transfers
left join told
    on transfers.payout_number = told.payout_number
where transfers.is_expected
group by transfers.payout_number
having count(told.payout_number) <> 1
