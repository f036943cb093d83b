-- One row per payout of an itemised payouts report.
select
    payouts.raw_row_id,
    payouts.document_at,
    payouts.row_sha256,
    payouts.provider,
    payouts.account,
    payouts.payout_id,
    payouts.psp_transaction_id,
    payouts.payout_status,
    payouts.payout_type,
    payouts.currency,
    payouts.net_minor,
    payouts.bank_minor,
    payouts.booked_on,
    payouts.expected_on,
    -- A payout that failed or was called back is not awaited at the bank.
    coalesce(payouts.payout_status, '') not in ('failed', 'canceled') as is_expected_at_bank
from {{ ref('stg_stripe_report__payouts') }} as payouts
where payouts.event = 'payout'
