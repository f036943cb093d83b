{# What a contract declares of a record type, for the staging model that names both. As scalar subqueries, computed once a
   statement: a join with one row by two constants has no key to hash, and a planner without loops does badly by it. #}
{% macro declared(field, source, record_type) -%}
    (
        select sources.{{ field }} from {{ ref('stg_raw__sources') }} as sources
        where sources.source = '{{ source }}' and sources.record_type = '{{ record_type }}'
    )
{%- endmacro %}

{# Currencies with how many minor units one of the source's units makes in each. #}
{% macro declared_units(source, record_type) %}
    select
        currencies.code,
        case {{ declared('scale', source, record_type) }}
            when 'major_decimal' then currencies.scale
            when 'six_decimals' then currencies.scale
            when 'api_minor' then 1
            when 'x100_always' then currencies.scale / 100.0
        end as scale
    from {{ ref('currencies') }} as currencies
{%- endmacro %}

{# A timestamp in the zone that the contract declares; and its day, in UTC as all our days. #}
{% macro declared_instant(written, source, record_type) -%}
    {{ written }}::timestamp at time zone {{ declared('time_zone', source, record_type) }}
{%- endmacro %}

{% macro declared_day(written, source, record_type) -%}
    ({{ declared_instant(written, source, record_type) }} at time zone 'UTC')::date
{%- endmacro %}
