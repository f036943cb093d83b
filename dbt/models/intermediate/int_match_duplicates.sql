-- One row per ledger item that does not stand alone under its reference (stage 0: duplicates on one side).
-- Of equal items with one reference the lowest seq continues; the others are duplicates and leave the waterfall.
with items as not materialized (

    select * from {{ ref('int_ledger_items') }}

),

shared as (

    select items.provider, items.account, items.reference, items.currency, items.sign
    from items
    group by items.provider, items.account, items.reference, items.currency, items.sign
    having count(*) > 1

),

ranked as (

    select
        items.ledger_item_id,
        items.provider,
        items.account,
        items.reference,
        items.currency,
        items.sign,
        -- What a group of stage 3 took is nobody's duplicate: two summaries of one payout may be equal.
        grouped.ledger_item_id is not null as is_grouped,
        first_value(items.ledger_item_id) over equals as continues_as,
        row_number() over equals as occurrence
    from items
    inner join shared
        on items.provider = shared.provider
        and items.account = shared.account
        and items.reference = shared.reference
        and items.currency = shared.currency
        and items.sign = shared.sign
    left join {{ ref('int_match_groups') }} as grouped
        on items.ledger_item_id = grouped.ledger_item_id
    window equals as (
        partition by
            items.provider,
            items.account,
            items.reference,
            items.currency,
            items.sign,
            items.net_minor,
            items.fee_minor
        order by items.seq, items.ledger_item_id
    )

),

final as (

    select
        ranked.ledger_item_id,
        ranked.continues_as,
        ranked.occurrence > 1 and not ranked.is_grouped as is_duplicate,
        -- What is left under the reference once groups and duplicates are gone.
        count(*) filter (where ranked.occurrence = 1 and not ranked.is_grouped) over (
            partition by ranked.provider, ranked.account, ranked.reference, ranked.currency, ranked.sign
        ) = 1 as is_reference_unique
    from ranked

)

select * from final
