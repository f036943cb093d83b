-- What is left per key is what is left in all, on every clearing and in-transit account.
with residue as (

    select residue.ledger_account, sum(residue.residue_minor) as residue_minor
    from {{ ref('fct_clearing_residue') }} as residue
    group by residue.ledger_account

),

trial as (

    select trial.code, trial.debits_minor - trial.credits_minor as balance_minor
    from {{ ref('fct_trial_balance') }} as trial
    inner join {{ ref('int_clearing_accounts') }} as accounts
        on trial.account_id = accounts.account_id
    where accounts.role in ('clearing', 'in_transit')

)

select trial.code, trial.balance_minor, residue.residue_minor
from trial
left join residue
    on trial.code = residue.ledger_account
where trial.balance_minor <> coalesce(residue.residue_minor, 0)
