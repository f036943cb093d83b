-- Grain: one row per match: a pair, a group of leg A under its payout or reference, a group of payouts and bank lines of leg B.
{# As large as the day itself, and made anew by every run. Wide inputs are joined in place, not copied aside first. #}
{{- config(unlogged=true) }}
with matched as (

    select * from {{ ref('int_matched_items') }}

),

ledger_items as not materialized (

    select * from {{ ref('int_ledger_items') }}

),

psp_items as not materialized (

    select * from {{ ref('int_psp_items') }}

),

bank_matches as (

    select * from {{ ref('int_bank_matches') }}

),

transfers as (

    select * from {{ ref('int_transfers') }}

),

members as (

    select * from {{ ref('int_bank_members') }}

),

lines as (

    select * from {{ ref('int_bank_lines') }}

),

rules as (

    select * from {{ ref('dim_rule_versions') }}

),

item_pairs as (

    select
        'A:' || psp_items.provider || ':' || psp_items.account || ':' || psp_items.psp_transaction_id as match_id,
        'A' as leg,
        matched.stage,
        matched.rule,
        matched.class is null as is_equal,
        psp_items.provider,
        psp_items.account,
        psp_items.currency,
        matched.id_kind,
        ledger_items.reference as ledger_key,
        psp_items.psp_transaction_id as psp_key,
        null::text as bank_key,
        ledger_items.net_minor as ledger_amount_minor,
        psp_items.net_minor as psp_amount_minor,
        null::numeric(38, 0) as bank_amount_minor,
        ledger_items.effective_on as ledger_on,
        psp_items.booked_on as psp_on,
        null::date as bank_on,
        1::bigint as ledger_count,
        1::bigint as psp_count
    from matched
    inner join ledger_items
        on matched.ledger_item_id = ledger_items.ledger_item_id
    inner join psp_items
        on matched.psp_item_id = psp_items.psp_item_id
    where matched.stage <> 3

),

grouped as (

    select
        matched.rule,
        matched.id_kind,
        matched.group_key,
        matched.ledger_item_id,
        matched.psp_item_id,
        coalesce(ledger_items.provider, psp_items.provider) as provider,
        coalesce(ledger_items.account, psp_items.account) as account,
        coalesce(ledger_items.currency, psp_items.currency) as currency,
        ledger_items.net_minor as ledger_minor,
        psp_items.net_minor as psp_minor,
        ledger_items.effective_on,
        psp_items.booked_on
    from matched
    left join ledger_items
        on matched.ledger_item_id = ledger_items.ledger_item_id
    left join psp_items
        on matched.psp_item_id = psp_items.psp_item_id
    where matched.stage = 3

),

item_groups as (

    select
        'A:' || grouped.provider || ':' || grouped.account || ':' || case grouped.rule when 'payout_group' then 'group' else 'shared' end
        || ':' || grouped.group_key || ':' || grouped.currency as match_id,
        'A' as leg,
        3::smallint as stage,
        grouped.rule,
        true as is_equal,
        grouped.provider,
        grouped.account,
        grouped.currency,
        grouped.id_kind,
        grouped.group_key as ledger_key,
        grouped.group_key as psp_key,
        null::text as bank_key,
        sum(grouped.ledger_minor) as ledger_amount_minor,
        sum(grouped.psp_minor) as psp_amount_minor,
        null::numeric(38, 0) as bank_amount_minor,
        max(grouped.effective_on) as ledger_on,
        max(grouped.booked_on) as psp_on,
        null::date as bank_on,
        count(grouped.ledger_item_id) as ledger_count,
        count(grouped.psp_item_id) as psp_count
    from grouped
    group by grouped.rule, grouped.id_kind, grouped.provider, grouped.account, grouped.group_key, grouped.currency

),

payout_pairs as (

    select
        'B:' || transfers.provider || ':' || transfers.account || ':' || transfers.payout_id as match_id,
        'B' as leg,
        bank_matches.stage,
        case bank_matches.stage
            when 1 then 'payout_reference'
            when 2 then 'payout_reference_unequal'
            when 4 then 'payout_amount_window'
        end as rule,
        bank_matches.class is null as is_equal,
        transfers.provider,
        transfers.account,
        transfers.currency,
        case bank_matches.stage when 4 then 'amount_window' else transfers.kind end as id_kind,
        null::text as ledger_key,
        transfers.payout_id as psp_key,
        lines.reference as bank_key,
        null::numeric(38, 0) as ledger_amount_minor,
        transfers.bank_minor as psp_amount_minor,
        lines.amount_minor as bank_amount_minor,
        null::date as ledger_on,
        transfers.booked_on as psp_on,
        lines.booked_on as bank_on,
        0::bigint as ledger_count,
        1::bigint as psp_count
    from bank_matches
    inner join transfers
        on bank_matches.payout_number = transfers.payout_number
    inner join lines
        on bank_matches.bank_line_id = lines.bank_line_id

),

-- A group has the key of its first payout; each side of it is a sum.
payout_groups as (

    select
        'B:' || min(members.provider) || ':' || min(members.account) || ':group:' || min(transfers.payout_id) as match_id,
        'B' as leg,
        3::smallint as stage,
        'payout_bank_group' as rule,
        true as is_equal,
        min(members.provider) as provider,
        min(members.account) as account,
        min(members.currency) as currency,
        'payout' as id_kind,
        null::text as ledger_key,
        min(transfers.payout_id) as psp_key,
        min(lines.reference) as bank_key,
        null::numeric(38, 0) as ledger_amount_minor,
        sum(members.amount_minor) filter (where members.payout_number is not null) as psp_amount_minor,
        sum(members.amount_minor) filter (where members.bank_line_id is not null) as bank_amount_minor,
        null::date as ledger_on,
        max(transfers.booked_on) as psp_on,
        max(lines.booked_on) as bank_on,
        0::bigint as ledger_count,
        count(members.payout_number) as psp_count
    from {{ ref('int_bank_groups') }} as bank_groups
    inner join members
        on coalesce(bank_groups.payout_number, -1) = coalesce(members.payout_number, -1)
        and coalesce(bank_groups.bank_line_id, -1) = coalesce(members.bank_line_id, -1)
    left join transfers
        on bank_groups.payout_number = transfers.payout_number
    left join lines
        on bank_groups.bank_line_id = lines.bank_line_id
    group by bank_groups.group_number

),

both_legs as (

    select * from item_pairs
    union all
    select * from item_groups
    union all
    select * from payout_pairs
    union all
    select * from payout_groups

),

final as (

    select
        both_legs.match_id,
        both_legs.leg,
        both_legs.stage,
        both_legs.rule,
        rules.version as rule_version,
        both_legs.is_equal,
        both_legs.provider,
        both_legs.account,
        both_legs.currency,
        both_legs.id_kind,
        both_legs.ledger_key,
        both_legs.psp_key,
        both_legs.bank_key,
        both_legs.ledger_amount_minor::numeric(38, 0) as ledger_amount_minor,
        both_legs.psp_amount_minor::numeric(38, 0) as psp_amount_minor,
        both_legs.bank_amount_minor::numeric(38, 0) as bank_amount_minor,
        both_legs.ledger_on,
        both_legs.psp_on,
        both_legs.bank_on,
        both_legs.ledger_count,
        both_legs.psp_count
    from both_legs
    left join rules
        on both_legs.leg = rules.leg
        and both_legs.rule = rules.rule

)

select * from final
