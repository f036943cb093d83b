-- One row per account of the chart that takes part in reconciliation: `role` and `source` in its metadata say how.
with accounts as (

    select * from {{ ref('stg_ledger__accounts') }}
    where role in ('clearing', 'fees', 'in_transit', 'bank')

),

only_accounts as (

    select * from {{ ref('int_provider_accounts') }}

),

final as (

    select
        accounts.account_id,
        accounts.code,
        accounts.currency,
        accounts.role,
        accounts.provider,
        -- What the chart says, else the only account whose files have landed, else the setting.
        coalesce(accounts.provider_account, only_accounts.account, {{ pinned('provider_account') }}) as provider_account
    from accounts
    left join only_accounts
        on accounts.provider = only_accounts.provider
    where accounts.provider is not null or accounts.role = 'bank'

)

select * from final
