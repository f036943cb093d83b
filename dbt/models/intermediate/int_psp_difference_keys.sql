-- One row per id of a PSP item that a difference concerns, with whether it is unique on its side within
-- (provider account, kind, id, currency, sign).
{%- set kinds = match_kinds() %}
with differing as (

    select * from {{ ref('int_psp_differing') }}

),

items as (

    select * from {{ ref('int_psp_items') }}

),

final as (
{% for kind in kinds %}
    select
        differing.psp_item_id,
        {{ loop.index }} as kind_rank,
        '{{ kind.kind }}' as kind,
        differing.{{ kind.column }} as key,
        differing.currency,
        {%- if loop.first %}
        true as is_unique
    from differing
        {%- else %}
        count(*) = 1 as is_unique
    from differing
    inner join items
        on differing.{{ kind.column }} = items.{{ kind.column }}
        and differing.provider = items.provider
        and differing.account = items.account
        and differing.currency = items.currency
        and differing.sign = items.sign
    group by differing.psp_item_id, differing.{{ kind.column }}, differing.currency
        {%- endif %}
    {% if not loop.last %}union all{% endif %}
{% endfor %}
)

select * from final
