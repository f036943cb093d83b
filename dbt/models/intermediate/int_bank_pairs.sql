-- One row per payout and bank line that a reference joins: stage 1 where the amounts are equal, stage 2 where amount or currency
-- differs. Unique or nothing, among what no group took; a payout that failed is awaited nowhere and pairs with nothing.
with grouped as (

    select * from {{ ref('int_bank_groups') }}

),

named as (

    select candidates.*
    from {{ ref('int_bank_candidates') }} as candidates
    inner join {{ ref('int_transfers') }} as transfers
        on candidates.payout_number = transfers.payout_number
    where candidates.is_same_sign
        and (transfers.is_expected or transfers.kind = 'topup')
        and not exists (select 1 from grouped where grouped.payout_number = candidates.payout_number)
        and not exists (select 1 from grouped where grouped.bank_line_id = candidates.bank_line_id)

),

-- Of several that one name fits, the amount tells them apart, where it does.
equal_named as (

    select * from named where named.is_same_currency and named.is_same_amount

),

by_reference as (

    select counted.payout_number, counted.bank_line_id, counted.reference, 1 as stage, null::text as class
    from ({{ counted('equal_named') }}) as counted
    where counted.line_count = 1
        and counted.payout_count = 1

),

unequal_named as (

    select named.*
    from named
    where named.is_same_currency
        and not exists (select 1 from by_reference as taken where taken.payout_number = named.payout_number)
        and not exists (select 1 from by_reference as taken where taken.bank_line_id = named.bank_line_id)

),

unequal as (

    select counted.payout_number, counted.bank_line_id, counted.reference, 2 as stage, 'amount_mismatch' as class
    from ({{ counted('unequal_named') }}) as counted
    where counted.line_count = 1
        and counted.payout_count = 1
        and not counted.is_same_amount

),

same_currency as (

    select * from by_reference
    union all
    select * from unequal

),

-- Counted over all currencies: one of the same would be the better answer.
other_named as (

    select named.*
    from named
    where not exists (select 1 from same_currency as taken where taken.payout_number = named.payout_number)
        and not exists (select 1 from same_currency as taken where taken.bank_line_id = named.bank_line_id)

),

across_currencies as (

    select counted.payout_number, counted.bank_line_id, counted.reference, 2 as stage, 'currency_mismatch' as class
    from ({{ counted('other_named') }}) as counted
    where counted.line_count = 1
        and counted.payout_count = 1
        and not counted.is_same_currency

),

final as (

    select * from same_currency
    union all
    select * from across_currencies

)

select * from final
