-- Balances computed here equal those the ledger keeps, for every account whose postings all lie inside the pin and the cut.
with ours as (

    select * from {{ ref('fct_trial_balance') }}

),

theirs as (

    select * from {{ ref('stg_ledger__balances') }}

),

outside as (

    select distinct postings.account_id
    from {{ source('ledger', 'posted_postings') }} as postings
    where postings.book = {{ pinned('book') }}
        and postings.effective_at >= {{ pinned_until() }}

)

select theirs.account_id, ours.debits_minor, theirs.debits_minor as ledger_debits_minor
from theirs
left join ours
    on theirs.account_id = ours.account_id
where theirs.last_seq < {{ pinned('signed_size') }}
    and theirs.account_id not in (select outside.account_id from outside)
    and (
        ours.account_id is null
        or ours.debits_minor <> theirs.debits_minor
        or ours.credits_minor <> theirs.credits_minor
    )
