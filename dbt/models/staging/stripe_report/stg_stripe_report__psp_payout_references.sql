-- One row per text, besides the payout's id, by which Stripe says that a bank line may name a payout; once for each of its items.
select
    items.provider,
    items.account,
    items.payout_id,
    texts.reference
from {{ ref('stg_stripe_report__payout_reconciliation') }} as items
cross join lateral (values (items.payout_reference_token), (items.trace_id)) as texts (reference)
where items.payout_id is not null
    and texts.reference is not null
