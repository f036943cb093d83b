-- Grain: one row per account (clearing or in transit) and key that is not zero.
-- The key is the payout that settles the item, so that a payout and its items cancel; an item of no payout stands under its own
-- reference. A test proves that the residue of an account adds up to its balance.
-- An entry has one key on every account, and every id that means one payout means the same key.
with payout_names as (

    select payouts.provider, payouts.account, payouts.payout_id as name, payouts.payout_id
    from {{ ref('int_psp_payouts') }} as payouts

    union all

    select payouts.provider, payouts.account, payouts.psp_transaction_id as name, payouts.payout_id
    from {{ ref('int_psp_payouts') }} as payouts

    union all

    -- What takes a payout back: it names it as the object that moved the balance.
    select items.provider, items.account, items.psp_transaction_id as name, coalesce(items.source_id, items.payout_id) as payout_id
    from {{ ref('int_psp_items') }} as items
    where items.event = 'payout_reversal'

    union all

    select transfers.provider, transfers.account, lines.reference as name, transfers.payout_id
    from {{ ref('int_bank_matches') }} as matches
    inner join {{ ref('int_transfers') }} as transfers
        on matches.payout_number = transfers.payout_number
    inner join {{ ref('int_bank_lines') }} as lines
        on matches.bank_line_id = lines.bank_line_id

),

payouts as (

    select payout_names.provider, payout_names.account, payout_names.name, min(payout_names.payout_id) as payout_id
    from payout_names
    where payout_names.name is not null
        and payout_names.payout_id is not null
    group by payout_names.provider, payout_names.account, payout_names.name
    having count(distinct payout_names.payout_id) = 1

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
        coalesce(matched.payout_id, psp_items.payout_id, payouts.payout_id, items.reference) as key,
        items.net_minor as amount_minor,
        items.effective_on
    from {{ ref('int_ledger_items') }} as items
    left join {{ ref('int_matched_items') }} as matched
        on items.ledger_item_id = matched.ledger_item_id
    left join {{ ref('int_psp_items') }} as psp_items
        on matched.psp_item_id = psp_items.psp_item_id
    left join payouts
        on items.provider = payouts.provider
        and items.account = payouts.account
        and items.reference = payouts.name

),

in_transit as (

    select
        accounts.code as ledger_account,
        accounts.role,
        accounts.provider,
        accounts.provider_account as account,
        accounts.currency,
        coalesce(payouts.payout_id, {{ entry_reference('entries', 'accounts.provider') }}) as key,
        postings.signed_minor::numeric(38, 0) as amount_minor,
        entries.effective_on
    from {{ ref('stg_ledger__postings') }} as postings
    inner join accounts
        on postings.account_id = accounts.account_id
    -- An adjustment stands under the entry that it counts towards, as on the clearing account.
    left join {{ ref('int_entry_corrections') }} as corrections
        on postings.seq = corrections.seq
    inner join {{ ref('stg_ledger__entries') }} as entries
        on coalesce(corrections.root_seq, postings.seq) = entries.seq
    left join payouts
        on accounts.provider = payouts.provider
        and accounts.provider_account = payouts.account
        and {{ entry_reference('entries', 'accounts.provider') }} = payouts.name
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
