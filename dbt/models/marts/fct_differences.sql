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

graced as (

    select
        both_legs.*,
        classes.priority,
        case
            when classes.is_pending_allowed
                then {{ add_business_days('both_legs.base_on', pinned('grace_business_days')) }}
        end as grace_until
    from both_legs
    -- A class that the seed lacks has no priority, which the contract refuses: no difference is lost in silence.
    left join classes
        on both_legs.class = classes.class

),

final as (

    select
        graced.leg || ':' || graced.provider || ':' || graced.account || ':' || graced.anchor as difference_id,
        graced.leg,
        graced.provider,
        graced.account,
        graced.class,
        graced.priority,
        case when {{ pinned('as_of') }} <= graced.grace_until then 'pending' else 'break' end as status,
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
