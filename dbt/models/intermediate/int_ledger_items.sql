-- One row per journal entry and clearing account: what the entry moved there, with the fee it booked beside it.
-- A reversal and what it reverses take no part; an adjustment counts towards the entry that it corrects.
with accounts as (

    select * from {{ ref('int_clearing_accounts') }}
    where role in ('clearing', 'fees')

),

corrections as (

    select * from {{ ref('int_entry_corrections') }}

),

cancelled as (

    select * from {{ ref('int_cancelled_entries') }}

),

-- One pass over the postings: what an entry moved with a provider in a currency, and on which clearing accounts.
movements as (

    select
        coalesce(corrections.root_seq, postings.seq) as seq,
        accounts.provider,
        postings.currency,
        sum(postings.signed_minor) filter (where accounts.role = 'clearing') as net_minor,
        sum(postings.signed_minor) filter (where accounts.role = 'fees') as fee_minor,
        min(postings.line) filter (where accounts.role = 'clearing') as line,
        min(postings.account_id) filter (where accounts.role = 'clearing') as account_id,
        max(postings.account_id) filter (where accounts.role = 'clearing') as last_account_id
    from {{ ref('stg_ledger__postings') }} as postings
    inner join accounts
        on postings.account_id = accounts.account_id
    left join corrections
        on postings.seq = corrections.seq
    group by coalesce(corrections.root_seq, postings.seq), accounts.provider, postings.currency

),

-- The exception: an entry with several clearing accounts of one provider and currency is an item on each; the fee is the first's.
spread as (

    select movements.seq, movements.provider, movements.currency, movements.fee_minor, movements.account_id as first_account_id
    from movements
    where movements.account_id <> movements.last_account_id

),

spread_movements as (

    select
        spread.seq,
        spread.provider,
        spread.currency,
        sum(postings.signed_minor) as net_minor,
        case when postings.account_id = spread.first_account_id then spread.fee_minor end as fee_minor,
        min(postings.line) as line,
        postings.account_id
    from {{ ref('stg_ledger__postings') }} as postings
    left join corrections
        on postings.seq = corrections.seq
    inner join accounts
        on postings.account_id = accounts.account_id
        and accounts.role = 'clearing'
    inner join spread
        on coalesce(corrections.root_seq, postings.seq) = spread.seq
        and accounts.provider = spread.provider
        and postings.currency = spread.currency
    group by spread.seq, spread.provider, spread.currency, spread.fee_minor, spread.first_account_id, postings.account_id

),

items as (

    select movements.seq, movements.provider, movements.currency, movements.net_minor, movements.fee_minor, movements.line, movements.account_id
    from movements
    where movements.account_id = movements.last_account_id

    union all

    select movements.seq, movements.provider, movements.currency, movements.net_minor, movements.fee_minor, movements.line, movements.account_id
    from spread_movements as movements

),

final as (

    select
        items.seq * 512 + items.line as ledger_item_id,
        items.seq,
        entries.external_id,
        accounts.code as ledger_account,
        items.provider,
        accounts.provider_account as account,
        items.currency,
        items.net_minor::numeric(38, 0) as net_minor,
        coalesce(items.fee_minor, 0)::numeric(38, 0) as fee_minor,
        (items.net_minor + coalesce(items.fee_minor, 0))::numeric(38, 0) as gross_minor,
        sign(items.net_minor)::smallint as sign,
        {{ entry_reference('entries', 'items.provider') }} as reference,
        (
            nullif(entries.metadata_reference, '') is not null
            or starts_with(entries.external_id, items.provider || ':')
        ) as has_provider_id,
        entries.effective_on
    from items
    inner join {{ ref('stg_ledger__entries') }} as entries
        on items.seq = entries.seq
    inner join accounts
        on items.account_id = accounts.account_id
    where not exists (select 1 from cancelled where cancelled.seq = items.seq)
        and (items.net_minor <> 0 or items.fee_minor <> 0)

)

select * from final
