{# All rows of a canonical table, whichever source of its kind brings them. By name, because `union all` pairs columns by place. #}
{% macro union_of(table) -%}
    {%- set declared = canonical_tables()[table] -%}
    {%- for source in sources_of_kind(declared.kind) %}
    select
        {%- for column in declared.columns %}
        rows.{{ column }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('stg_' ~ source ~ '__' ~ table) }} as rows
    {% if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
{%- endmacro %}
