-- One row per match of equal items (stage 1): one id kind at a time, unique on both sides within (provider account, id,
-- currency, sign), equal net, gross and fee. A row that matched under one kind is consumed for the next.
{%- set kinds = match_kinds() %}
with
{%- for kind in kinds %}
{{ kind.kind }}_unique as (

    select
        edges.ledger_item_id,
        min(edges.psp_item_id) as psp_item_id,
        bool_and(edges.is_equal) as is_equal
    from {{ ref('int_match_edges') }} as edges
    {%- if not loop.first %}
    left join {{ loop.previtem.kind }}_taken as ledger_taken
        on edges.ledger_item_id = ledger_taken.ledger_item_id
    left join {{ loop.previtem.kind }}_taken as psp_taken
        on edges.psp_item_id = psp_taken.psp_item_id
    {%- endif %}
    where edges.kind_rank = {{ loop.index }}
        and edges.is_same_currency
        -- The ledger's side: no other item has this reference.
        and edges.is_reference_unique
        {%- if not loop.first %}
        and ledger_taken.ledger_item_id is null
        and psp_taken.psp_item_id is null
        {%- endif %}
    group by edges.ledger_item_id
    -- The provider's side: of what is not consumed, one item alone has this id.
    having count(*) = 1

),

{{ kind.kind }}_taken as (

    select
        found.ledger_item_id,
        found.psp_item_id,
        '{{ kind.kind }}' as id_kind
    from {{ kind.kind }}_unique as found
    where found.is_equal
    {%- if not loop.first %}

    union all

    select taken.ledger_item_id, taken.psp_item_id, taken.id_kind
    from {{ loop.previtem.kind }}_taken as taken
    {%- endif %}

),
{% endfor %}
final as (

    select
        taken.ledger_item_id,
        taken.psp_item_id,
        taken.id_kind
    from {{ kinds[-1].kind }}_taken as taken

)

select * from final
