-- One row per match of items with the same key and unequal amounts, or with another currency (stage 2): matched, and one break.
-- First all kinds in the same currency, then all kinds across currencies; unique among what the stages before left.
{%- set kinds = match_kinds() %}
with edges as (

    select edges.*
    from {{ ref('int_match_left') }} as edges
    where not exists (
            select 1 from {{ ref('int_match_shared') }} as shared where shared.ledger_item_id = edges.ledger_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_shared') }} as shared where shared.psp_item_id = edges.psp_item_id
        )

),
{% for pass in ['same_currency', 'other_currency'] %}
{%- set is_first_pass = loop.first %}
{%- for kind in kinds %}
{%- set name = pass ~ '_' ~ kind.kind %}
{%- if not loop.first %}{% set before = pass ~ '_' ~ loop.previtem.kind %}
{%- elif not is_first_pass %}{% set before = 'same_currency_' ~ kinds[-1].kind %}
{%- else %}{% set before = none %}{% endif %}
{{ name }}_candidates as (

    select
        edges.ledger_item_id,
        edges.psp_item_id,
        edges.is_same_currency,
        count(*) over (partition by edges.ledger_item_id) as psp_count,
        count(*) over (partition by edges.psp_item_id) as ledger_count
    from edges
    where edges.kind_rank = {{ loop.index }}
        {%- if is_first_pass %}
        and edges.is_same_currency
        and edges.is_reference_unique
        {%- endif %}
        {%- if before %}
        and not exists (select 1 from {{ before }}_taken as taken where taken.ledger_item_id = edges.ledger_item_id)
        and not exists (select 1 from {{ before }}_taken as taken where taken.psp_item_id = edges.psp_item_id)
        {%- endif %}

),

{{ name }}_taken as (

    select
        candidates.ledger_item_id,
        candidates.psp_item_id,
        '{{ kind.kind }}' as id_kind
    from {{ name }}_candidates as candidates
    where candidates.psp_count = 1
        and candidates.ledger_count = 1
        {%- if not is_first_pass %}
        -- Unique over all currencies: one of the same currency would be the better answer.
        and not candidates.is_same_currency
        {%- endif %}
    {%- if before %}

    union all

    select taken.ledger_item_id, taken.psp_item_id, taken.id_kind
    from {{ before }}_taken as taken
    {%- endif %}

),
{% endfor %}
{%- endfor %}
final as (

    select
        taken.ledger_item_id,
        taken.psp_item_id,
        taken.id_kind,
        case
            when ledger_items.currency <> psp_items.currency then 'currency_mismatch'
            -- Only the fee differs when either the gross or the net agrees; a fee that nobody booked is such a case.
            when ledger_items.fee_minor <> psp_items.fee_minor
                and (ledger_items.gross_minor = psp_items.gross_minor or ledger_items.net_minor = psp_items.net_minor)
                then 'fee_mismatch'
            else 'amount_mismatch'
        end as class
    from other_currency_{{ kinds[-1].kind }}_taken as taken
    inner join {{ ref('int_ledger_items') }} as ledger_items
        on taken.ledger_item_id = ledger_items.ledger_item_id
    inner join {{ ref('int_psp_items') }} as psp_items
        on taken.psp_item_id = psp_items.psp_item_id

)

select * from final
