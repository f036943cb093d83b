-- Grain: one row per leg, provider, account and currency: what matched and agrees, what waits, what is a break.
with matches as (

    select * from {{ ref('fct_matches') }}

),

differences as (

    select * from {{ ref('fct_differences') }}

),

counted as (

    select
        matches.leg,
        matches.provider,
        matches.account,
        matches.currency,
        greatest(matches.ledger_count, matches.psp_count) as matched,
        0::bigint as pending,
        0::bigint as breaks
    from matches
    where matches.is_equal

    union all

    select
        differences.leg,
        differences.provider,
        differences.account,
        differences.currency,
        0::bigint as matched,
        case differences.status when 'pending' then 1 else 0 end as pending,
        case differences.status when 'break' then 1 else 0 end as breaks
    from differences

),

final as (

    select
        counted.leg,
        counted.provider,
        counted.account,
        counted.currency,
        sum(counted.matched)::bigint as matched,
        sum(counted.pending)::bigint as pending,
        sum(counted.breaks)::bigint as breaks
    from counted
    group by counted.leg, counted.provider, counted.account, counted.currency

)

select * from final
