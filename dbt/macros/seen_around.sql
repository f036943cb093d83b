{# What the window of each business day holds of the CTE `days`, which is counted by day, within (provider, currency, `amount`): how many
   items, and the least of each of `ids`. Reads the CTE `offsets`, the days of a window. #}
{% macro seen_around(days, amount, ids) -%}
    select
        {{ days }}.provider,
        {{ days }}.currency,
        {{ days }}.{{ amount }},
        {{ days }}.business_day + offsets.days_off as business_day,
        sum({{ days }}.items) as items
        {%- for id in ids %},
        min({{ days }}.{{ id }}) as {{ id }}
        {%- endfor %}
    from {{ days }}
    cross join offsets
    group by {{ days }}.provider, {{ days }}.currency, {{ days }}.{{ amount }}, {{ days }}.business_day + offsets.days_off
{%- endmacro %}
