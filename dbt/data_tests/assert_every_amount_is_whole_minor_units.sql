-- Nothing was rounded and no currency was unknown on the way from decimal text to minor units.
select 'psp' as side, items.psp_transaction_id as key
from {{ ref('int_psp_items') }} as items
where items.net_minor is null or items.fee_minor is null or items.gross_minor is null

union all

select 'payout' as side, payouts.payout_id as key
from {{ ref('int_psp_payouts') }} as payouts
where payouts.net_minor is null

union all

select 'bank' as side, lines.reference as key
from {{ ref('int_bank_lines') }} as lines
where lines.amount_minor is null
