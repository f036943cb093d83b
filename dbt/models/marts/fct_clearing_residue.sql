-- Grain: one row per account (clearing or in transit) and key that is not zero.
-- The key is the payout that settles the item, so that a payout and its items cancel; an item of no payout stands under its own
-- reference. A test proves that the residue of an account adds up to its balance.
with payouts as (

    select * from {{ ref('int_psp_payouts') }}

),

accounts as (

    select * from {{ ref('int_clearing_accounts') }}
    where role = 'in_transit'

),

-- Reversed entries and their reversals are zero together and take no part, as in the waterfall.
cleared as (

    select
        items.ledger_account,
        'clearing' as role,
        items.provider,
        items.account,
        items.currency,
        coalesce(matched.payout_id, psp_items.payout_id, items.reference) as key,
        items.net_minor as amount_minor,
        items.effective_on
    from {{ ref('int_ledger_items') }} as items
    left join {{ ref('int_matched_items') }} as matched
        on items.ledger_item_id = matched.ledger_item_id
    left join {{ ref('int_psp_items') }} as psp_items
        on matched.psp_item_id = psp_items.psp_item_id

),

in_transit as (

    select
        accounts.code as ledger_account,
        accounts.role,
        accounts.provider,
        accounts.provider_account as account,
        accounts.currency,
        -- Either of a payout's ids means the payout.
        coalesce(payouts.payout_id, nullif(entries.metadata_reference, ''), entries.external_id) as key,
        postings.signed_minor::numeric(38, 0) as amount_minor,
        entries.effective_on
    from {{ ref('stg_ledger__postings') }} as postings
    inner join accounts
        on postings.account_id = accounts.account_id
    inner join {{ ref('stg_ledger__entries') }} as entries
        on postings.seq = entries.seq
    left join payouts
        on accounts.provider = payouts.provider
        and accounts.provider_account = payouts.account
        and entries.metadata_reference = payouts.psp_transaction_id
    where not exists (
            select 1 from {{ ref('int_cancelled_entries') }} as cancelled where cancelled.seq = postings.seq
        )

),

keyed as (

    select * from cleared
    union all
    select * from in_transit

),

-- Grouped by two texts instead of six: an account has one role, provider and currency.
final as (

    select
        keyed.ledger_account,
        keyed.key,
        min(keyed.role) as role,
        min(keyed.provider) as provider,
        min(keyed.account) as account,
        min(keyed.currency) as currency,
        sum(keyed.amount_minor)::numeric(38, 0) as residue_minor,
        count(*) as entries,
        min(keyed.effective_on) as first_on,
        max(keyed.effective_on) as last_on
    from keyed
    group by keyed.ledger_account, keyed.key
    having sum(keyed.amount_minor) <> 0

)

select * from final
