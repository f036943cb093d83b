-- One row per payout or bank line of a group match (stage 3 of leg B): lines and payouts that name each other, with equal sums. One
-- line that pays several payouts, several lines that pay one, a payout that came, went back and came again.
-- First with what takes money back, where a payout that failed is worth nothing; then with the lines of a payout's own amount alone,
-- which leaves a bank's fee for the return outside; then without what takes money back.
with recursive
transfers as (

    select
        transfers.payout_number,
        transfers.provider,
        transfers.currency,
        transfers.kind = 'topup' or transfers.is_expected as is_counted,
        {{ counted_minor('transfers') }} as counted_minor
    from {{ ref('int_transfers') }} as transfers

),

lines as (

    select * from {{ ref('int_bank_lines') }}

),

named as (

    select candidates.payout_number, candidates.bank_line_id, candidates.is_same_sign and transfers.is_counted as is_forward
    from {{ ref('int_bank_candidates') }} as candidates
    inner join transfers
        on candidates.payout_number = transfers.payout_number
    where candidates.is_same_currency

),

{{ equal_groups('both_ways', 'named') }},

-- Came, went back, came again: what is of the payout's own amount adds up by itself, whatever else names it.
own_amount as (

    select named.payout_number, named.bank_line_id, lines.amount_minor
    from named
    inner join lines
        on named.bank_line_id = lines.bank_line_id
    inner join {{ ref('int_transfers') }} as transfers
        on named.payout_number = transfers.payout_number
    where abs(lines.amount_minor) = abs(transfers.bank_minor)
        and not exists (select 1 from both_ways_groups where both_ways_groups.bank_line_id = named.bank_line_id)
        and not exists (
            select 1 from named as others
            where others.bank_line_id = named.bank_line_id and others.payout_number <> named.payout_number
        )

),

own_amount_equal as (

    select own_amount.payout_number
    from own_amount
    inner join transfers
        on own_amount.payout_number = transfers.payout_number
    group by own_amount.payout_number, transfers.counted_minor
    having sum(own_amount.amount_minor) = transfers.counted_minor and count(*) > 1

),

own_amount_groups as (

    select equal.payout_number as group_number, equal.payout_number, null::bigint as bank_line_id
    from own_amount_equal as equal

    union all

    select equal.payout_number as group_number, null::bigint as payout_number, own_amount.bank_line_id
    from own_amount
    inner join own_amount_equal as equal
        on own_amount.payout_number = equal.payout_number

),

forward_named as (

    select named.payout_number, named.bank_line_id
    from named
    where named.is_forward
        and not exists (select 1 from both_ways_groups where both_ways_groups.bank_line_id = named.bank_line_id)
        and not exists (select 1 from own_amount_groups where own_amount_groups.bank_line_id = named.bank_line_id)
        and not exists (select 1 from own_amount_groups where own_amount_groups.payout_number = named.payout_number)

),
{{ equal_groups('forward', 'forward_named') }},

final as (

    select * from both_ways_groups
    union all
    select * from own_amount_groups
    union all
    select * from forward_groups

)

select * from final
