-- One row per (provider, account, provider's transaction id), whichever source brought it: of several versions the newest document's.
-- An id that an older version gives and the newest does not stays: an item keeps its payout for ever once it has one.
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

-- The hash of the content is the last resort, and the same whatever order the files came in.
versions as materialized (

    select
        landed.raw_row_id,
        landed.provider,
        landed.account,
        landed.psp_transaction_id,
        landed.source_id,
        landed.charge_id,
        landed.payment_intent_id,
        landed.merchant_reference,
        landed.payout_id,
        landed.currency,
        landed.gross_minor,
        landed.fee_minor,
        landed.net_minor,
        landed.document_at,
        row_number() over (
            partition by landed.provider, landed.account, landed.psp_transaction_id
            order by
                landed.document_at desc nulls last,
                landed.payout_id is null,
                landed.row_sha256 desc,
                landed.raw_row_id desc
        ) as recency
    from landed
    inner join repeated
        on landed.psp_transaction_id = repeated.psp_transaction_id

),

newest as (

    select * from versions where versions.recency = 1

),

merged as (

    select
        min(versions.raw_row_id) filter (where versions.recency = 1) as raw_row_id,
        (array_agg(versions.source_id order by versions.recency) filter (where versions.source_id is not null))[1] as source_id,
        (array_agg(versions.charge_id order by versions.recency) filter (where versions.charge_id is not null))[1] as charge_id,
        (array_agg(versions.payment_intent_id order by versions.recency)
            filter (where versions.payment_intent_id is not null))[1] as payment_intent_id,
        (array_agg(versions.merchant_reference order by versions.recency)
            filter (where versions.merchant_reference is not null))[1] as merchant_reference,
        (array_agg(versions.payout_id order by versions.recency) filter (where versions.payout_id is not null))[1] as payout_id,
        count(*) as landed_rows,
        min(versions.net_minor) <> max(versions.net_minor) as is_amended,
        -- Two documents of one time that say two amounts: nobody can tell which of them is right.
        bool_or(
            versions.document_at is not distinct from newest.document_at
            and (versions.net_minor, versions.gross_minor, versions.fee_minor, versions.currency)
            is distinct from (newest.net_minor, newest.gross_minor, newest.fee_minor, newest.currency)
        ) as is_contradicted
    from versions
    inner join newest
        on versions.psp_transaction_id = newest.psp_transaction_id
        and versions.provider = newest.provider
        and versions.account = newest.account
    group by versions.provider, versions.account, versions.psp_transaction_id
    having count(*) > 1

),

final as (

    select
        landed.raw_row_id as psp_item_id,
        landed.provider,
        landed.account,
        landed.psp_transaction_id,
        coalesce(landed.source_id, merged.source_id) as source_id,
        coalesce(landed.charge_id, merged.charge_id) as charge_id,
        coalesce(landed.payment_intent_id, merged.payment_intent_id) as payment_intent_id,
        coalesce(landed.merchant_reference, merged.merchant_reference) as merchant_reference,
        coalesce(landed.payout_id, merged.payout_id) as payout_id,
        landed.provider_type,
        landed.event,
        landed.payment_method,
        landed.currency,
        landed.gross_minor::numeric(38, 0) as gross_minor,
        landed.fee_minor::numeric(38, 0) as fee_minor,
        landed.net_minor::numeric(38, 0) as net_minor,
        sign(landed.net_minor)::smallint as sign,
        landed.booked_on,
        coalesce(merged.landed_rows, 1) as landed_rows,
        coalesce(merged.is_amended, false) as is_amended,
        coalesce(merged.is_contradicted, false) as is_contradicted
    from landed
    left join merged
        on landed.raw_row_id = merged.raw_row_id
    where not exists (
        select 1 from versions where versions.recency > 1 and versions.raw_row_id = landed.raw_row_id
    )

)

select * from final
