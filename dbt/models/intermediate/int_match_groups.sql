-- One row per item of a group match (stage 3). Ledger items that name a payout as their reference, against the items that this
-- payout settles; the sums of net and of fee are equal on both sides.
with payout_ids as (

    select distinct bridge.payout_id
    from {{ ref('int_payout_items') }} as bridge

),

consumed as (

    select matched_equal.ledger_item_id, matched_equal.psp_item_id from {{ ref('int_match_equal') }} as matched_equal
    union all
    select matched_unequal.ledger_item_id, matched_unequal.psp_item_id from {{ ref('int_match_unequal') }} as matched_unequal

),

-- Few items name a payout, so what is consumed is asked of these alone.
ledger_rest as (

    select items.ledger_item_id, items.provider, items.account, items.reference, items.currency, items.net_minor, items.fee_minor
    from {{ ref('int_ledger_items') }} as items
    inner join payout_ids
        on items.reference = payout_ids.payout_id
    left join {{ ref('int_match_duplicates') }} as repeated
        on items.ledger_item_id = repeated.ledger_item_id
    where not coalesce(repeated.is_duplicate, false)
        and not exists (select 1 from consumed where consumed.ledger_item_id = items.ledger_item_id)

),

psp_rest as (

    select bridge.*
    from {{ ref('int_payout_items') }} as bridge
    where bridge.payout_id in (select ledger_rest.reference from ledger_rest)
        and not exists (select 1 from consumed where consumed.psp_item_id = bridge.psp_item_id)

),

ledger_sums as (

    select
        ledger_rest.provider,
        ledger_rest.account,
        ledger_rest.reference as payout_id,
        ledger_rest.currency,
        sum(ledger_rest.net_minor) as net_minor,
        sum(ledger_rest.fee_minor) as fee_minor
    from ledger_rest
    group by ledger_rest.provider, ledger_rest.account, ledger_rest.reference, ledger_rest.currency

),

psp_sums as (

    select
        psp_rest.provider,
        psp_rest.account,
        psp_rest.payout_id,
        psp_rest.currency,
        sum(psp_rest.net_minor) as net_minor,
        sum(psp_rest.fee_minor) as fee_minor
    from psp_rest
    group by psp_rest.provider, psp_rest.account, psp_rest.payout_id, psp_rest.currency

),

agreed as (

    select psp_sums.provider, psp_sums.account, psp_sums.payout_id, psp_sums.currency
    from psp_sums
    inner join ledger_sums
        on psp_sums.provider = ledger_sums.provider
        and psp_sums.account = ledger_sums.account
        and psp_sums.payout_id = ledger_sums.payout_id
        and psp_sums.currency = ledger_sums.currency
        and psp_sums.net_minor = ledger_sums.net_minor
        and psp_sums.fee_minor = ledger_sums.fee_minor

),

final as (

    select
        agreed.provider,
        agreed.account,
        agreed.payout_id,
        agreed.currency,
        ledger_rest.ledger_item_id,
        null::bigint as psp_item_id
    from agreed
    inner join ledger_rest
        on agreed.provider = ledger_rest.provider
        and agreed.account = ledger_rest.account
        and agreed.payout_id = ledger_rest.reference
        and agreed.currency = ledger_rest.currency

    union all

    select
        agreed.provider,
        agreed.account,
        agreed.payout_id,
        agreed.currency,
        null::bigint as ledger_item_id,
        psp_rest.psp_item_id
    from agreed
    inner join psp_rest
        on agreed.provider = psp_rest.provider
        and agreed.account = psp_rest.account
        and agreed.payout_id = psp_rest.payout_id
        and agreed.currency = psp_rest.currency

)

select * from final
