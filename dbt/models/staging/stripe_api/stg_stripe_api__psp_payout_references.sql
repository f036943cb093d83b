-- One row per text, besides the payout's id, by which Stripe says that a bank line may name a payout.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_api' and record_type = 'payouts'

),

final as (

    select
        files.provider,
        files.account,
        rows.id as payout_id,
        rows.trace_id_value as reference
    from {{ source('raw', 'stripe_api_payouts') }} as rows
    inner join files
        on rows.file_id = files.file_id
    where rows.trace_id_value <> ''
        and {{ instant_of_seconds('rows.created') }} < {{ pinned_until() }}

)

select * from final
