-- One row per match of items with the same key and unequal amounts, or with another currency (stage 2): matched, and one break.
-- First all kinds in the same currency, then all kinds across currencies; unique among what the stages before left.
{%- set kinds = match_kinds() %}
with
-- A fee as large as the payment turns its net round, or leaves nothing of it: who booked the payment without the fee booked the
-- other side. The payment's own side tells them together. Whoever has a candidate on its own side looks no further.
turned as materialized (

    select items.*
    from {{ ref('int_psp_items') }} as items
    where items.fee_minor <> 0
        and items.gross_minor <> 0
        and items.sign <> sign(items.gross_minor)
        {%- for consumer in ['int_match_equal', 'int_match_groups', 'int_match_shared', 'int_match_left'] %}
        and not exists (select 1 from {{ ref(consumer) }} as taken where taken.psp_item_id = items.psp_item_id)
        {%- endfor %}

),

turned_edges as (

    select
        ledger_items.ledger_item_id,
        turned.psp_item_id,
        ids.kind_rank,
        ledger_items.currency = turned.currency as is_same_currency,
        coalesce(repeated.is_reference_unique, true) as is_reference_unique,
        false as is_equal
    from turned
    cross join lateral (
        values
        {% for kind in kinds -%}
        ({{ loop.index }}::smallint, turned.{{ kind.column }}){{ ',' if not loop.last }}
        {% endfor %}
    ) as ids (kind_rank, id)
    inner join {{ ref('int_ledger_items') }} as ledger_items
        on ids.id = ledger_items.reference
        and turned.provider = ledger_items.provider
        and turned.account = ledger_items.account
        and sign(turned.gross_minor) = ledger_items.sign
    left join {{ ref('int_match_duplicates') }} as repeated
        on ledger_items.ledger_item_id = repeated.ledger_item_id
    where not coalesce(repeated.is_duplicate, false)
        {%- for consumer in ['int_match_equal', 'int_match_groups', 'int_match_shared', 'int_match_left'] %}
        and not exists (select 1 from {{ ref(consumer) }} as taken where taken.ledger_item_id = ledger_items.ledger_item_id)
        {%- endfor %}

),

edges as (

    select edges.*
    from {{ ref('int_match_left') }} as edges
    where not exists (
            select 1 from {{ ref('int_match_shared') }} as shared where shared.ledger_item_id = edges.ledger_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_shared') }} as shared where shared.psp_item_id = edges.psp_item_id
        )

    union all

    select turned_edges.*
    from turned_edges

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
