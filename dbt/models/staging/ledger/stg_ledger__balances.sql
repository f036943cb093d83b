-- One row per account: the ledger's own balance, which knows no cut.
select
    balances.account_id,
    balances.debits as debits_minor,
    balances.credits as credits_minor,
    balances.last_seq
from {{ source('ledger', 'posted_balances') }} as balances
where balances.book = {{ pinned('book') }}
