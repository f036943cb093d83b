-- One row per difference of leg B: a payout, a bank line, a pair of them, an ambiguous group, or a payout against its own items.
with matches as (

    select * from {{ ref('int_bank_matches') }}

),

payouts as (

    select * from {{ ref('int_psp_payouts') }}

),

lines as (

    select * from {{ ref('int_bank_lines') }}
    where not is_cancelled

),

-- Lines and payouts that name each other and are not unique: one group for each payout with more lines, or line with more payouts.
rest_candidates as (

    select candidates.*
    from {{ ref('int_bank_candidates') }} as candidates
    where candidates.is_same_sign
        and candidates.is_same_currency
        and candidates.payout_number not in (select matches.payout_number from matches)
        and candidates.bank_line_id not in (select matches.bank_line_id from matches)

),

-- The smallest payout number that is reached names the group; two steps join every line and payout that share one.
first_of_line as (

    select rest_candidates.bank_line_id, min(rest_candidates.payout_number) as group_number
    from rest_candidates
    group by rest_candidates.bank_line_id

),

first_of_payout as (

    select rest_candidates.payout_number, min(first_of_line.group_number) as group_number
    from rest_candidates
    inner join first_of_line
        on rest_candidates.bank_line_id = first_of_line.bank_line_id
    group by rest_candidates.payout_number

),

group_members as (

    select first_of_payout.group_number, first_of_payout.payout_number, null::bigint as bank_line_id
    from first_of_payout

    union all

    select min(first_of_payout.group_number) as group_number, null::bigint as payout_number, rest_candidates.bank_line_id
    from rest_candidates
    inner join first_of_payout
        on rest_candidates.payout_number = first_of_payout.payout_number
    group by rest_candidates.bank_line_id

),

returned as (

    select distinct candidates.bank_line_id
    from {{ ref('int_bank_candidates') }} as candidates
    where not candidates.is_same_sign

),

unequal as (

    select matches.payout_number, matches.bank_line_id, matches.class, 'payout_reference_unequal' as rule
    from matches
    where matches.class is not null

),

payouts_rest as (

    select
        payouts.payout_number,
        null::bigint as bank_line_id,
        'payout_missing_at_bank' as class,
        'payout_reference' as rule
    from payouts
    where payouts.is_expected_at_bank
        and payouts.payout_number not in (select matches.payout_number from matches)
        and payouts.payout_number not in (select first_of_payout.payout_number from first_of_payout)

),

lines_rest as (

    select
        null::bigint as payout_number,
        lines.bank_line_id,
        case when returned.bank_line_id is null then 'unexpected_bank_credit' else 'payout_returned' end as class,
        'payout_reference' as rule
    from lines
    left join returned
        on lines.bank_line_id = returned.bank_line_id
    where lines.bank_line_id not in (select matches.bank_line_id from matches)
        and lines.bank_line_id not in (
            select group_members.bank_line_id from group_members where group_members.bank_line_id is not null
        )

),

pairs as (

    select * from unequal
    union all
    select * from payouts_rest
    union all
    select * from lines_rest

),

single as (

    select
        case
            when payouts.payout_number is not null then 'payout:' || payouts.payout_id
            else 'line:' || lines.account_iban || ':' || lines.reference
        end as anchor,
        coalesce(payouts.provider, lines.provider) as provider,
        coalesce(payouts.account, lines.account) as account,
        pairs.class,
        pairs.rule,
        coalesce(payouts.payout_id, lines.reference) as key,
        coalesce(payouts.sign, lines.sign) as sign,
        coalesce(payouts.currency, lines.currency) as currency,
        coalesce(payouts.net_minor, 0)
        - case when pairs.class = 'currency_mismatch' then 0 else coalesce(lines.amount_minor, 0) end as amount_minor,
        payouts.net_minor as psp_amount_minor,
        lines.amount_minor as bank_amount_minor,
        lines.currency as bank_currency,
        case
            when pairs.class = 'payout_missing_at_bank' then payouts.expected_on
            when pairs.class = 'unexpected_bank_credit' then lines.booked_on
        end as base_on,
        greatest(payouts.booked_on, lines.booked_on) as later_on,
        case
            when payouts.payout_number is not null
                then jsonb_build_array(jsonb_build_array('payout', payouts.payout_id, payouts.currency))
            else '[]'
        end
        || case
            when pairs.class = 'currency_mismatch'
                then jsonb_build_array(jsonb_build_array('payout', payouts.payout_id, lines.currency))
            else '[]'
        end
        || case
            when lines.bank_line_id is not null
                then jsonb_build_array(jsonb_build_array('bank_reference', lines.reference, lines.currency))
            else '[]'
        end as identity_keys,
        case when payouts.payout_number is null then '[]' else jsonb_build_array({{ payout_evidence('payouts') }}) end
        || case when lines.bank_line_id is null then '[]' else jsonb_build_array({{ bank_evidence('lines') }}) end as evidence
    from pairs
    left join payouts
        on pairs.payout_number = payouts.payout_number
    left join lines
        on pairs.bank_line_id = lines.bank_line_id

),

grouped as (

    select
        'ambiguous:' || min(payouts.payout_id) as anchor,
        coalesce(min(payouts.provider), min(lines.provider)) as provider,
        coalesce(min(payouts.account), min(lines.account)) as account,
        'ambiguous' as class,
        'payout_reference' as rule,
        min(payouts.payout_id) as key,
        coalesce(min(payouts.sign), min(lines.sign)) as sign,
        coalesce(min(payouts.currency), min(lines.currency)) as currency,
        coalesce(sum(payouts.net_minor), 0) - coalesce(sum(lines.amount_minor), 0) as amount_minor,
        sum(payouts.net_minor) as psp_amount_minor,
        sum(lines.amount_minor) as bank_amount_minor,
        coalesce(min(lines.currency), min(payouts.currency)) as bank_currency,
        null::date as base_on,
        max(greatest(payouts.booked_on, lines.booked_on)) as later_on,
        jsonb_agg(
            jsonb_build_array('payout', payouts.payout_id, payouts.currency) order by payouts.payout_id
        ) filter (where payouts.payout_id is not null) as identity_keys,
        jsonb_agg(
            case when payouts.payout_number is not null then {{ payout_evidence('payouts') }} else {{ bank_evidence('lines') }} end
            order by payouts.payout_id, lines.reference, lines.amount_minor
        ) as evidence
    from group_members
    left join payouts
        on group_members.payout_number = payouts.payout_number
    left join lines
        on group_members.bank_line_id = lines.bank_line_id
    group by group_members.group_number

),

item_sums as (

    select
        bridge.provider,
        bridge.account,
        bridge.payout_id,
        sum(bridge.net_minor) as net_minor,
        count(*) as items,
        count(distinct bridge.currency) as currencies
    from {{ ref('int_payout_items') }} as bridge
    group by bridge.provider, bridge.account, bridge.payout_id

),

-- Across files: the items of one report against the payout of another. A payout without any item is not itemised (a manual one).
batches as (

    select
        'batch:' || payouts.payout_id as anchor,
        payouts.provider,
        payouts.account,
        'batch_sum_mismatch' as class,
        'payout_items_sum' as rule,
        payouts.payout_id as key,
        payouts.sign,
        payouts.currency,
        payouts.net_minor - item_sums.net_minor as amount_minor,
        payouts.net_minor as psp_amount_minor,
        null::numeric(38, 0) as bank_amount_minor,
        null::text as bank_currency,
        payouts.booked_on as base_on,
        payouts.booked_on as later_on,
        jsonb_build_array(jsonb_build_array('batch', payouts.payout_id, payouts.currency)) as identity_keys,
        jsonb_build_array(
            {{ payout_evidence('payouts') }},
            jsonb_build_object('side', 'items', 'items', item_sums.items, 'net_minor', item_sums.net_minor::text)
        ) as evidence
    from payouts
    inner join item_sums
        on payouts.provider = item_sums.provider
        and payouts.account = item_sums.account
        and payouts.payout_id = item_sums.payout_id
    where payouts.net_minor <> item_sums.net_minor
        or item_sums.currencies <> 1

),

final as (

    select * from single
    union all
    select * from grouped
    union all
    select * from batches

)

select * from final
