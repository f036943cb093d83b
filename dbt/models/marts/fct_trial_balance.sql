-- Grain: one row per account, at the end of the run's day.
with accounts as (

    select * from {{ ref('stg_ledger__accounts') }}

),

daily as (

    select * from {{ ref('fct_account_balances_daily') }}

),

totals as (

    select
        daily.account_id,
        sum(daily.debits_minor) as debits_minor,
        sum(daily.credits_minor) as credits_minor
    from daily
    group by daily.account_id

),

final as (

    select
        accounts.account_id,
        accounts.code,
        accounts.type,
        accounts.currency,
        accounts.normal_balance,
        coalesce(totals.debits_minor, 0)::numeric(38, 0) as debits_minor,
        coalesce(totals.credits_minor, 0)::numeric(38, 0) as credits_minor,
        case accounts.normal_balance
            when 'debit' then coalesce(totals.debits_minor, 0) - coalesce(totals.credits_minor, 0)
            else coalesce(totals.credits_minor, 0) - coalesce(totals.debits_minor, 0)
        end::numeric(38, 0) as balance_minor
    from accounts
    left join totals
        on accounts.account_id = totals.account_id

)

select * from final
