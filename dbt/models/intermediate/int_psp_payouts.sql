-- One row per (provider, account, payout), from the newest document that states it. A status that ends a payout is not undone by
-- one that waits: an older report may be remade later, and one that has failed never sets out again under its id.
with landed as (

{{ union_of('psp_payouts') }}

),

ranked as (

    select
        landed.*,
        case landed.payout_status
            when 'failed' then 4
            when 'canceled' then 4
            when 'paid' then 3
            when 'in_transit' then 2
            when 'pending' then 1
            else 0
        end as how_far
    from landed

),

newest as (

    select distinct on (ranked.provider, ranked.account, ranked.payout_id) ranked.*
    from ranked
    order by
        ranked.provider,
        ranked.account,
        ranked.payout_id,
        ranked.document_at desc nulls last,
        ranked.how_far desc,
        ranked.row_sha256 desc,
        ranked.raw_row_id desc

),

-- The newest status that ends the payout, else the newest of all.
statuses as (

    select distinct on (ranked.provider, ranked.account, ranked.payout_id)
        ranked.provider,
        ranked.account,
        ranked.payout_id,
        ranked.payout_status,
        ranked.is_expected_at_bank
    from ranked
    order by
        ranked.provider,
        ranked.account,
        ranked.payout_id,
        ranked.how_far >= 3 desc,
        ranked.document_at desc nulls last,
        ranked.how_far desc,
        ranked.row_sha256 desc,
        ranked.raw_row_id desc

),

-- A report may leave out the status and still give the money back: with the payout's fee or without it.
reversed as (

    select items.provider, items.account, items.source_id as payout_id, items.currency, array_agg(items.net_minor) as nets
    from {{ ref('int_psp_items') }} as items
    where items.event = 'payout_reversal'
    group by items.provider, items.account, items.source_id, items.currency

),

contradicted as (

    select ranked.provider, ranked.account, ranked.payout_id
    from ranked
    inner join newest
        on ranked.provider = newest.provider
        and ranked.account = newest.account
        and ranked.payout_id = newest.payout_id
    where ranked.document_at is not distinct from newest.document_at
    group by ranked.provider, ranked.account, ranked.payout_id
    having count(distinct (ranked.currency, ranked.net_minor)) > 1

),

final as (

    select
        row_number() over (order by newest.provider, newest.account, newest.payout_id) as payout_number,
        newest.provider,
        newest.account,
        newest.payout_id,
        newest.psp_transaction_id,
        statuses.payout_status,
        newest.payout_type,
        newest.currency,
        newest.net_minor::numeric(38, 0) as net_minor,
        newest.bank_minor::numeric(38, 0) as bank_minor,
        sign(newest.net_minor)::smallint as sign,
        newest.booked_on,
        newest.expected_on,
        statuses.is_expected_at_bank
        and (coalesce(statuses.payout_status, '') = 'paid' or reversed.payout_id is null) as is_expected_at_bank,
        contradicted.payout_id is not null as is_contradicted
    from newest
    inner join statuses
        on newest.provider = statuses.provider
        and newest.account = statuses.account
        and newest.payout_id = statuses.payout_id
    left join reversed
        on newest.provider = reversed.provider
        and newest.account = reversed.account
        and newest.payout_id = reversed.payout_id
        and newest.currency = reversed.currency
        and (newest.net_minor = any(reversed.nets) or newest.bank_minor = any(reversed.nets))
    left join contradicted
        on newest.provider = contradicted.provider
        and newest.account = contradicted.account
        and newest.payout_id = contradicted.payout_id

)

select * from final
