-- One row per account, as its newest version inside the pin has it.
with versions as (

    select * from {{ source('ledger', 'posted_account_versions') }} as versions
    where versions.book = {{ pinned('book') }}
        and versions.seq < {{ pinned('signed_size') }}

),

final as (

    select distinct on (versions.account_id)
        versions.account_id,
        versions.code,
        versions.type,
        versions.normal_balance,
        versions.currency,
        versions.status,
        versions.overdraft,
        versions.metadata,
        nullif(versions.metadata ->> 'source', '') as provider,
        nullif(versions.metadata ->> 'role', '') as role,
        nullif(versions.metadata ->> 'account', '') as provider_account,
        versions.seq as version_seq
    from versions
    order by versions.account_id, versions.seq desc

)

select * from final
