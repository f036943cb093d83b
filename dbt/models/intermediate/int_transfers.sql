-- One row per movement between a provider's balance and the bank: each payout, and each top-up, which nobody awaits at the bank but
-- which explains the debit that meets it. Amounts as the bank sees them.
with payouts as (

    select * from {{ ref('int_psp_payouts') }}

),

top_ups as (

    select
        items.*,
        row_number() over (order by items.provider, items.account, items.psp_transaction_id) as place,
        -- What takes a top-up back has its source; the source stands for the first of them.
        row_number() over (
            partition by items.provider, items.account, items.source_id
            order by items.event = 'topup' desc, items.booked_on, items.psp_transaction_id
        ) as turn
    from {{ ref('int_psp_items') }} as items
    where items.event in ('topup', 'topup_reversal')
        and items.net_minor <> 0

),

final as (

    select
        payouts.payout_number,
        'payout' as kind,
        payouts.provider,
        payouts.account,
        payouts.payout_id,
        payouts.psp_transaction_id,
        payouts.payout_status,
        payouts.currency,
        payouts.net_minor,
        payouts.bank_minor,
        sign(payouts.bank_minor)::smallint as sign,
        payouts.booked_on,
        payouts.expected_on,
        -- What moves nothing is awaited nowhere.
        payouts.is_expected_at_bank and payouts.bank_minor <> 0 as is_expected,
        -- What provider and bank both write; the company itself sends a top-up, with words of its own.
        true as carries_reference
    from payouts

    union all

    select
        (select count(*) from payouts) + top_ups.place as payout_number,
        'topup' as kind,
        top_ups.provider,
        top_ups.account,
        case when top_ups.turn = 1 then coalesce(top_ups.source_id, top_ups.psp_transaction_id) else top_ups.psp_transaction_id end as payout_id,
        top_ups.psp_transaction_id,
        null::text as payout_status,
        top_ups.currency,
        -top_ups.net_minor as net_minor,
        -top_ups.net_minor as bank_minor,
        (-top_ups.sign)::smallint as sign,
        top_ups.booked_on,
        top_ups.booked_on as expected_on,
        false as is_expected,
        false as carries_reference
    from top_ups

)

select * from final
