-- One row per ledger item that nobody answers, and what it waits for: an entry that also posts `in_transit` is a payout's.
-- A report does not owe what it does not carry, so one of payouts is never asked for days on which only charges happened.
with accounts as (

    select * from {{ ref('int_clearing_accounts') }}
    where role = 'in_transit'

),

unmatched as (

    select * from {{ ref('int_ledger_unmatched') }}

),

payout_entries as (

    select distinct postings.seq
    from {{ ref('stg_ledger__postings') }} as postings
    inner join accounts
        on postings.account_id = accounts.account_id
    where postings.seq in (select unmatched.seq from unmatched)

),

final as (

    select
        unmatched.ledger_item_id,
        unmatched.provider,
        unmatched.account,
        unmatched.effective_on,
        case when payout_entries.seq is null then 'items' else 'payouts' end as awaits
    from unmatched
    left join payout_entries
        on unmatched.seq = payout_entries.seq

)

select * from final
