-- Grain: one row per account of the book's chart, as its newest version inside the pin has it.
select
    accounts.account_id,
    accounts.code,
    accounts.type,
    accounts.normal_balance,
    accounts.currency,
    accounts.status,
    accounts.overdraft,
    accounts.provider,
    accounts.role,
    accounts.metadata,
    accounts.version_seq
from {{ ref('stg_ledger__accounts') }} as accounts
