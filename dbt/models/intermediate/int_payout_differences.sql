-- One row per difference of leg B: a payout, a bank line, a pair of them, an ambiguous group, or a payout against its own items.
with transfers as (

    select * from {{ ref('int_transfers') }}

),

payouts as (

    select * from transfers
    where kind = 'payout'

),

lines as (

    select lines.*, keys.line_key, keys.is_reference_unique
    from {{ ref('int_bank_lines') }} as lines
    inner join {{ ref('int_bank_line_keys') }} as keys
        on lines.bank_line_id = keys.bank_line_id

),

-- Under which account each of them counts.
members as (

    select * from {{ ref('int_bank_members') }}

),

unmatched as (

    select * from {{ ref('int_bank_unmatched') }}

),

pairs as (

    select matches.payout_number, matches.bank_line_id, matches.class, 'payout_reference_unequal' as rule
    from {{ ref('int_bank_matches') }} as matches
    where matches.class is not null

    union all

    select unmatched.payout_number, unmatched.bank_line_id, unmatched.class, unmatched.rule
    from unmatched
    where unmatched.group_number is null

),

single as (

    select
        case
            when transfers.payout_number is not null then transfers.kind || ':' || transfers.payout_id
            else 'line:' || lines.line_key || ':' || lines.currency
        end as anchor,
        members.provider,
        members.account,
        pairs.class,
        pairs.rule,
        coalesce(transfers.payout_id, lines.reference) as key,
        coalesce(transfers.sign, lines.sign) as sign,
        coalesce(transfers.currency, lines.currency) as currency,
        coalesce(transfers.bank_minor, 0)
        - case when pairs.class = 'currency_mismatch' then 0 else coalesce(lines.amount_minor, 0) end as amount_minor,
        transfers.bank_minor as psp_amount_minor,
        lines.amount_minor as bank_amount_minor,
        lines.currency as bank_currency,
        case
            when pairs.class = 'payout_missing_at_bank' then transfers.expected_on
            when pairs.class in ('unexpected_bank_credit', 'unexpected_bank_debit') then lines.booked_on
        end as base_on,
        greatest(transfers.booked_on, lines.booked_on) as later_on,
        case
            when transfers.payout_number is not null
                then jsonb_build_array(jsonb_build_array('payout', transfers.payout_id, transfers.currency))
            else '[]'
        end
        || case
            when pairs.class = 'currency_mismatch'
                then jsonb_build_array(jsonb_build_array('payout', transfers.payout_id, lines.currency))
            else '[]'
        end
        || case
            when lines.is_reference_unique
                then jsonb_build_array(jsonb_build_array('bank_reference', lines.reference, lines.currency))
            else '[]'
        end
        || case
            when lines.bank_line_id is not null
                then jsonb_build_array(jsonb_build_array('bank_line', lines.line_key, lines.currency))
            else '[]'
        end as identity_keys,
        case when transfers.payout_number is null then '[]' else jsonb_build_array({{ payout_evidence('transfers') }}) end
        || case when lines.bank_line_id is null then '[]' else jsonb_build_array({{ bank_evidence('lines') }}) end as evidence
    from pairs
    left join transfers
        on pairs.payout_number = transfers.payout_number
    left join lines
        on pairs.bank_line_id = lines.bank_line_id
    -- A pair is under its payout's account, as its line is.
    inner join members
        on coalesce(pairs.payout_number, -1) = coalesce(members.payout_number, -1)
        and case when pairs.payout_number is null then pairs.bank_line_id else -1 end = coalesce(members.bank_line_id, -1)

),

grouped as (

    select
        min(unmatched.class) || ':' || min(transfers.payout_id) as anchor,
        min(members.provider) as provider,
        min(members.account) as account,
        min(unmatched.class) as class,
        'payout_reference' as rule,
        min(transfers.payout_id) as key,
        min(transfers.sign) as sign,
        min(transfers.currency) as currency,
        coalesce(sum({{ counted_minor('transfers') }}), 0) - coalesce(sum(lines.amount_minor), 0) as amount_minor,
        sum({{ counted_minor('transfers') }}) as psp_amount_minor,
        sum(lines.amount_minor) as bank_amount_minor,
        min(transfers.currency) as bank_currency,
        null::date as base_on,
        max(greatest(transfers.booked_on, lines.booked_on)) as later_on,
        jsonb_agg(
            case
                when transfers.payout_number is not null
                    then jsonb_build_array('payout', transfers.payout_id, transfers.currency)
                else jsonb_build_array('bank_line', lines.line_key, lines.currency)
            end
            order by transfers.payout_id, lines.line_key
        ) as identity_keys,
        jsonb_agg(
            case
                when transfers.payout_number is not null then {{ payout_evidence('transfers') }}
                else {{ bank_evidence('lines') }}
            end
            order by transfers.payout_id, lines.line_key
        ) as evidence
    from unmatched
    inner join members
        on coalesce(unmatched.payout_number, -1) = coalesce(members.payout_number, -1)
        and coalesce(unmatched.bank_line_id, -1) = coalesce(members.bank_line_id, -1)
    left join transfers
        on unmatched.payout_number = transfers.payout_number
    left join lines
        on unmatched.bank_line_id = lines.bank_line_id
    where unmatched.group_number is not null
    group by unmatched.group_number

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
