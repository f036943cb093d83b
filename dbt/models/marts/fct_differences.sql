-- Grain: one row per difference that this run found. Stateless: a function of the pin and nothing else.
with item_differences as (

    select * from {{ ref('int_item_differences') }}

),

payout_differences as (

    select * from {{ ref('int_payout_differences') }}

),

classes as (

    select * from {{ ref('break_classes') }}

),

rules as (

    select * from {{ ref('dim_rule_versions') }}

),

both_legs as (

    select
        'A' as leg,
        differences.anchor,
        differences.ledger_item_id,
        differences.provider,
        differences.account,
        differences.class,
        differences.rule,
        differences.key,
        differences.sign,
        differences.currency,
        differences.ledger_currency as other_currency,
        differences.amount_minor,
        differences.ledger_amount_minor,
        differences.psp_amount_minor,
        null::numeric(38, 0) as bank_amount_minor,
        differences.base_on,
        differences.later_on,
        differences.identity_keys,
        differences.evidence
    from item_differences as differences

    union all

    select
        'B' as leg,
        differences.anchor,
        null::bigint as ledger_item_id,
        differences.provider,
        differences.account,
        differences.class,
        differences.rule,
        differences.key,
        differences.sign,
        differences.currency,
        differences.bank_currency as other_currency,
        differences.amount_minor,
        null::numeric(38, 0) as ledger_amount_minor,
        differences.psp_amount_minor,
        differences.bank_amount_minor,
        differences.base_on,
        differences.later_on,
        differences.identity_keys,
        differences.evidence
    from payout_differences as differences

),

clocks as (

    select * from {{ ref('int_leg_clocks') }}

),

-- Both reports of an account must have come before the items of one can disagree with the payouts of the other.
account_clocks as (

    select clocks.provider, clocks.account, min(clocks.clock_on) as clock_on
    from clocks
    where clocks.leg = 'A'
    group by clocks.provider, clocks.account

),

graced as (

    select
        both_legs.*,
        classes.priority,
        case
            when classes.is_pending_allowed
                then {{ add_business_days('both_legs.base_on', pinned('grace_business_days')) }}
        end as grace_until,
        -- The day to which grace counts. What the provider has said and the books lack waits for no report.
        least(
            case
                when classes.awaits_kind = 'psp' then own.clock_on
                -- It compares two statements of one side.
                when classes.bridge_step is null then account_clocks.clock_on
                when both_legs.leg = 'B' then coalesce(paid.clock_on, anyones.clock_on)
            end,
            {{ pinned('as_of') }}
        ) as clock_on
    from both_legs
    left join {{ ref('int_awaited_items') }} as awaited
        on both_legs.ledger_item_id = awaited.ledger_item_id
    left join clocks as own
        on own.leg = 'A'
        and both_legs.provider = own.provider
        and both_legs.account = own.account
        and awaited.awaits = own.awaits
    left join account_clocks
        on both_legs.provider = account_clocks.provider
        and both_legs.account = account_clocks.account
    left join clocks as paid
        on both_legs.leg = paid.leg
        and paid.leg = 'B'
        and both_legs.provider = paid.provider
        and both_legs.account = paid.account
        and both_legs.currency = paid.currency
    left join clocks as anyones
        on both_legs.leg = anyones.leg
        and anyones.leg = 'B'
        and both_legs.provider = anyones.provider
        and anyones.account = ''
        and both_legs.currency = anyones.currency
    -- A class that the seed lacks has no priority, which the contract refuses: no difference is lost in silence.
    left join classes
        on both_legs.class = classes.class

),

final as (

    select
        graced.leg || ':' || graced.provider || ':' || graced.account || ':' || graced.anchor as difference_id,
        graced.ledger_item_id,
        graced.leg,
        graced.provider,
        graced.account,
        graced.class,
        graced.priority,
        case when graced.clock_on <= graced.grace_until then 'pending' else 'break' end as status,
        case
            when {{ pinned('as_of') }} <= graced.grace_until then 'in_grace'
            when graced.clock_on <= graced.grace_until then 'awaiting_report'
        end as pending_reason,
        graced.key,
        -- Every id that finds the break, the one it is known by first.
        array(
            select listed.key
            from (
                select graced.key as key, 0::bigint as place
                union all
                select keys.value ->> 1 as key, keys.ordinality as place
                from jsonb_array_elements(graced.identity_keys) with ordinality as keys (value, ordinality)
            ) as listed
            group by listed.key
            order by min(listed.place), listed.key
        ) as keys,
        graced.sign,
        graced.currency,
        graced.other_currency,
        graced.amount_minor::numeric(38, 0) as amount_minor,
        graced.ledger_amount_minor::numeric(38, 0) as ledger_amount_minor,
        graced.psp_amount_minor::numeric(38, 0) as psp_amount_minor,
        graced.bank_amount_minor::numeric(38, 0) as bank_amount_minor,
        graced.base_on,
        graced.grace_until,
        coalesce(graced.grace_until + 1, graced.later_on) as opened_on,
        graced.rule,
        rules.version as rule_version,
        graced.identity_keys,
        graced.evidence
    from graced
    left join rules
        on graced.leg = rules.leg
        and graced.rule = rules.rule

)

select * from final
