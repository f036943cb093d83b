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
        case when transfers.kind = 'topup' or transfers.is_expected then transfers.bank_minor else 0 end as counted_minor
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

-- A payout and a line that name each other alone are a pair, not a group.
all_pairs as (

    select counted.payout_number, counted.bank_line_id
    from (
        select
            named.payout_number,
            named.bank_line_id,
            count(*) over (partition by named.payout_number) as line_count,
            count(*) over (partition by named.bank_line_id) as payout_count
        from named
    ) as counted
    where counted.line_count > 1 or counted.payout_count > 1

),
{{ components('both_ways', 'all_pairs') }},

both_ways_members as (

    select both_ways.group_number, both_ways.payout_number, null::bigint as bank_line_id, transfers.counted_minor as amount_minor
    from both_ways
    inner join transfers
        on both_ways.payout_number = transfers.payout_number

    union all

    select min(both_ways.group_number) as group_number, null::bigint as payout_number, all_pairs.bank_line_id, -min(lines.amount_minor) as amount_minor
    from all_pairs
    inner join both_ways
        on all_pairs.payout_number = both_ways.payout_number
    inner join lines
        on all_pairs.bank_line_id = lines.bank_line_id
    group by all_pairs.bank_line_id

),

both_ways_equal as (

    select members.group_number
    from both_ways_members as members
    group by members.group_number
    having sum(members.amount_minor) = 0

),

first_groups as (

    select members.group_number, members.payout_number, members.bank_line_id
    from both_ways_members as members
    inner join both_ways_equal
        on members.group_number = both_ways_equal.group_number

),

-- Came, went back, came again: what is of the payout's own amount adds up by itself, whatever else names it.
own_amount as (

    select named.payout_number, named.bank_line_id, lines.amount_minor
    from named
    inner join lines
        on named.bank_line_id = lines.bank_line_id
    inner join {{ ref('int_transfers') }} as transfers
        on named.payout_number = transfers.payout_number
    where abs(lines.amount_minor) = abs(transfers.bank_minor)
        and not exists (select 1 from first_groups where first_groups.bank_line_id = named.bank_line_id)
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

forward_pairs as (

    select counted.payout_number, counted.bank_line_id
    from (
        select
            named.payout_number,
            named.bank_line_id,
            count(*) over (partition by named.payout_number) as line_count,
            count(*) over (partition by named.bank_line_id) as payout_count
        from named
        where named.is_forward
            and not exists (select 1 from first_groups where first_groups.bank_line_id = named.bank_line_id)
            and not exists (select 1 from own_amount_groups where own_amount_groups.bank_line_id = named.bank_line_id)
            and not exists (select 1 from own_amount_groups where own_amount_groups.payout_number = named.payout_number)
    ) as counted
    where counted.line_count > 1 or counted.payout_count > 1

),
{{ components('forward', 'forward_pairs') }},

forward_members as (

    select forward.group_number, forward.payout_number, null::bigint as bank_line_id, transfers.counted_minor as amount_minor
    from forward
    inner join transfers
        on forward.payout_number = transfers.payout_number

    union all

    select min(forward.group_number) as group_number, null::bigint as payout_number, forward_pairs.bank_line_id, -min(lines.amount_minor) as amount_minor
    from forward_pairs
    inner join forward
        on forward_pairs.payout_number = forward.payout_number
    inner join lines
        on forward_pairs.bank_line_id = lines.bank_line_id
    group by forward_pairs.bank_line_id

),

forward_equal as (

    select members.group_number
    from forward_members as members
    group by members.group_number
    having sum(members.amount_minor) = 0

),

final as (

    select first_groups.group_number, first_groups.payout_number, first_groups.bank_line_id from first_groups

    union all

    select own_amount_groups.group_number, own_amount_groups.payout_number, own_amount_groups.bank_line_id from own_amount_groups

    union all

    select members.group_number, members.payout_number, members.bank_line_id
    from forward_members as members
    inner join forward_equal
        on members.group_number = forward_equal.group_number

)

select * from final
