-- Grain: one row per match: a pair, or a group of leg A under its payout.
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

payouts as (

    select * from {{ ref('int_psp_payouts') }}

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

item_groups as (

    select
        'A:' || groups.provider || ':' || groups.account || ':group:' || groups.payout_id || ':' || groups.currency as match_id,
        'A' as leg,
        3::smallint as stage,
        true as is_equal,
        groups.provider,
        groups.account,
        groups.currency,
        'payout' as id_kind,
        groups.payout_id as ledger_key,
        groups.payout_id as psp_key,
        null::text as bank_key,
        sum(ledger_items.net_minor) as ledger_amount_minor,
        sum(psp_items.net_minor) as psp_amount_minor,
        null::numeric(38, 0) as bank_amount_minor,
        max(ledger_items.effective_on) as ledger_on,
        max(psp_items.booked_on) as psp_on,
        null::date as bank_on,
        count(groups.ledger_item_id) as ledger_count,
        count(groups.psp_item_id) as psp_count
    from {{ ref('int_match_groups') }} as groups
    left join ledger_items
        on groups.ledger_item_id = ledger_items.ledger_item_id
    left join psp_items
        on groups.psp_item_id = psp_items.psp_item_id
    group by groups.provider, groups.account, groups.payout_id, groups.currency

),

payout_pairs as (

    select
        'B:' || payouts.provider || ':' || payouts.account || ':' || payouts.payout_id as match_id,
        'B' as leg,
        bank_matches.stage,
        bank_matches.class is null as is_equal,
        payouts.provider,
        payouts.account,
        payouts.currency,
        case bank_matches.stage when 4 then 'amount_window' else 'payout' end as id_kind,
        null::text as ledger_key,
        payouts.payout_id as psp_key,
        lines.reference as bank_key,
        null::numeric(38, 0) as ledger_amount_minor,
        payouts.net_minor as psp_amount_minor,
        lines.amount_minor as bank_amount_minor,
        null::date as ledger_on,
        payouts.booked_on as psp_on,
        lines.booked_on as bank_on,
        0::bigint as ledger_count,
        1::bigint as psp_count
    from bank_matches
    inner join payouts
        on bank_matches.payout_number = payouts.payout_number
    inner join lines
        on bank_matches.bank_line_id = lines.bank_line_id

),

both_legs as (

    select * from item_pairs
    union all
    select * from item_groups
    union all
    select * from payout_pairs

),

final as (

    select
        both_legs.match_id,
        both_legs.leg,
        both_legs.stage,
        rules.rule,
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
        and both_legs.stage = rules.stage

)

select * from final
