-- One row per (provider, account, provider's transaction id), from the newest landing, whichever source brought it.
with landed as not materialized (
{{ union_of('psp_items') }}
),

-- Overlapping reports are the exception: only what came more than once is put in order, and by its ids alone.
repeated as (

    select landed.psp_transaction_id
    from landed
    group by landed.psp_transaction_id
    having count(*) > 1

),

ranked as (

    select
        landed.raw_row_id,
        row_number() over (
            partition by landed.provider, landed.account, landed.psp_transaction_id
            order by landed.received_at desc, landed.row_sha256 desc, landed.raw_row_id desc
        ) as recency
    from landed
    inner join repeated
        on landed.psp_transaction_id = repeated.psp_transaction_id

),

amended as (

    select landed.provider, landed.account, landed.psp_transaction_id
    from landed
    where landed.psp_transaction_id in (select repeated.psp_transaction_id from repeated)
    group by landed.provider, landed.account, landed.psp_transaction_id
    having min(abs(landed.net_minor)) <> max(abs(landed.net_minor))

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
