-- One row per ledger item, PSP item and kind of id under which the one names the other, within (provider account, sign).
-- Every stage that works by ids reads these pairs of numbers, so that the texts are compared once.
{%- set kinds = match_kinds() %}
with final as (

    select
        ledger_items.ledger_item_id,
        psp_items.psp_item_id,
        ids.kind_rank,
        ledger_items.currency = psp_items.currency as is_same_currency,
        coalesce(repeated.is_reference_unique, true) as is_reference_unique,
        ledger_items.currency = psp_items.currency and {{ amounts_agree('ledger_items', 'psp_items') }} as is_equal
    from {{ ref('int_psp_items') }} as psp_items
    cross join lateral (
        values
        {% for kind in kinds -%}
        ({{ loop.index }}::smallint, psp_items.{{ kind.column }}){{ ',' if not loop.last }}
        {% endfor %}
    ) as ids (kind_rank, id)
    inner join {{ ref('int_ledger_items') }} as ledger_items
        on ids.id = ledger_items.reference
        and psp_items.provider = ledger_items.provider
        and psp_items.account = ledger_items.account
        and psp_items.sign = ledger_items.sign
    left join {{ ref('int_match_duplicates') }} as repeated
        on ledger_items.ledger_item_id = repeated.ledger_item_id
    where not coalesce(repeated.is_duplicate, false)
        and not exists (
            select 1 from {{ ref('int_match_groups') }} as grouped where grouped.ledger_item_id = ledger_items.ledger_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_groups') }} as grouped where grouped.psp_item_id = psp_items.psp_item_id
        )

)

select * from final
