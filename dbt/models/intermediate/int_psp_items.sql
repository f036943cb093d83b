-- One row per (provider, account, provider's transaction id), from the newest landing, whichever report brought it.
with itemised as not materialized (

    select * from {{ ref('stg_stripe__payout_reconciliation') }}

),

payouts as not materialized (

    select * from {{ ref('stg_stripe__payouts') }}

),

-- A new source adds its rows here.
landed as (

    select
        itemised.raw_row_id,
        itemised.received_at,
        itemised.row_sha256,
        itemised.provider,
        itemised.account,
        itemised.psp_transaction_id,
        itemised.source_id,
        itemised.charge_id,
        itemised.payment_intent_id,
        itemised.merchant_reference,
        itemised.payout_id,
        itemised.provider_type,
        itemised.event,
        itemised.payment_method,
        itemised.currency,
        -- A payout takes money out of the balance whatever sign a report gives it.
        case when itemised.event = 'payout' then -abs(itemised.net_minor) else itemised.gross_minor end as gross_minor,
        case when itemised.event = 'payout' then 0 else itemised.fee_minor end as fee_minor,
        case when itemised.event = 'payout' then -abs(itemised.net_minor) else itemised.net_minor end as net_minor,
        itemised.booked_on
    from itemised

    union all

    -- Minus its net, and nothing else of it: what the fee of a payout is differs from report to report.
    select
        payouts.raw_row_id,
        payouts.received_at,
        payouts.row_sha256,
        payouts.provider,
        payouts.account,
        payouts.psp_transaction_id,
        payouts.payout_id as source_id,
        null as charge_id,
        null as payment_intent_id,
        null as merchant_reference,
        payouts.payout_id,
        payouts.provider_type,
        payouts.event,
        null as payment_method,
        payouts.currency,
        -payouts.net_minor as gross_minor,
        0 as fee_minor,
        -payouts.net_minor as net_minor,
        payouts.booked_on
    from payouts

),

-- Overlapping reports are the exception: only what came more than once is put in order, and by its ids alone.
places as not materialized (

    select itemised.raw_row_id, itemised.received_at, itemised.row_sha256, itemised.provider, itemised.account, itemised.psp_transaction_id
    from itemised

    union all

    select payouts.raw_row_id, payouts.received_at, payouts.row_sha256, payouts.provider, payouts.account, payouts.psp_transaction_id
    from payouts

),

repeated as (

    select places.psp_transaction_id
    from places
    group by places.psp_transaction_id
    having count(*) > 1

),

ranked as (

    select
        places.raw_row_id,
        row_number() over (
            partition by places.provider, places.account, places.psp_transaction_id
            order by places.received_at desc, places.row_sha256 desc, places.raw_row_id desc
        ) as recency
    from places
    inner join repeated
        on places.psp_transaction_id = repeated.psp_transaction_id

),

amended as (

    select spoken.provider, spoken.account, spoken.psp_transaction_id
    from (
        select itemised.provider, itemised.account, itemised.psp_transaction_id, abs(itemised.net_minor) as net_minor
        from itemised
        where itemised.psp_transaction_id in (select repeated.psp_transaction_id from repeated)

        union all

        select payouts.provider, payouts.account, payouts.psp_transaction_id, abs(payouts.net_minor) as net_minor
        from payouts
        where payouts.psp_transaction_id in (select repeated.psp_transaction_id from repeated)
    ) as spoken
    group by spoken.provider, spoken.account, spoken.psp_transaction_id
    having min(spoken.net_minor) <> max(spoken.net_minor)

),

final as (

    select
        landed.raw_row_id as psp_item_id,
        landed.provider,
        landed.account,
        landed.psp_transaction_id,
        landed.source_id,
        landed.charge_id,
        landed.payment_intent_id,
        landed.merchant_reference,
        landed.payout_id,
        landed.provider_type,
        landed.event,
        landed.payment_method,
        landed.currency,
        landed.gross_minor::numeric(38, 0) as gross_minor,
        landed.fee_minor::numeric(38, 0) as fee_minor,
        landed.net_minor::numeric(38, 0) as net_minor,
        sign(landed.net_minor)::smallint as sign,
        landed.booked_on,
        amended.psp_transaction_id is not null as is_amended
    from landed
    left join amended
        on landed.psp_transaction_id = amended.psp_transaction_id
        and landed.provider = amended.provider
        and landed.account = amended.account
    where not exists (
        select 1 from ranked where ranked.recency > 1 and ranked.raw_row_id = landed.raw_row_id
    )

)

select * from final
