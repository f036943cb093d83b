-- Grain: one row per account and day on which it moved: the movement of the day and the balance after it.
with postings as (

    select * from {{ ref('stg_ledger__postings') }}

),

accounts as (

    select * from {{ ref('stg_ledger__accounts') }}

),

movements as (

    select
        postings.account_id,
        postings.effective_on,
        coalesce(sum(postings.amount_minor) filter (where postings.direction = 'debit'), 0) as debits_minor,
        coalesce(sum(postings.amount_minor) filter (where postings.direction = 'credit'), 0) as credits_minor
    from postings
    group by postings.account_id, postings.effective_on

),

final as (

    select
        movements.account_id,
        accounts.code,
        accounts.currency,
        movements.effective_on,
        movements.debits_minor::numeric(38, 0) as debits_minor,
        movements.credits_minor::numeric(38, 0) as credits_minor,
        -- Debits are positive here, whatever the account's normal side: every day's balances add up to zero.
        sum(movements.debits_minor - movements.credits_minor) over (
            partition by movements.account_id order by movements.effective_on
        )::numeric(38, 0) as balance_minor
    from movements
    inner join accounts
        on movements.account_id = accounts.account_id

)

select * from final
