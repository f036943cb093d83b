-- One row per (provider, account, payout), from the newest landing.
with landed as (

{{ union_of('psp_payouts') }}

),

newest as (

    select distinct on (landed.provider, landed.account, landed.payout_id)
        landed.provider,
        landed.account,
        landed.payout_id,
        landed.psp_transaction_id,
        landed.payout_status,
        landed.payout_type,
        landed.currency,
        landed.net_minor,
        landed.booked_on,
        landed.expected_on,
        landed.is_expected_at_bank
    from landed
    order by
        landed.provider,
        landed.account,
        landed.payout_id,
        landed.received_at desc,
        landed.row_sha256 desc,
        landed.raw_row_id desc

),

final as (

    select
        row_number() over (order by newest.provider, newest.account, newest.payout_id) as payout_number,
        newest.provider,
        newest.account,
        newest.payout_id,
        newest.psp_transaction_id,
        newest.payout_status,
        newest.payout_type,
        newest.currency,
        newest.net_minor::numeric(38, 0) as net_minor,
        sign(newest.net_minor)::smallint as sign,
        newest.booked_on,
        newest.expected_on,
        newest.is_expected_at_bank
    from newest

)

select * from final
