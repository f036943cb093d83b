{# What a contract declares of a record type, for the staging model that names both. As scalar subqueries, computed once a
   statement: a join with one row by two constants has no key to hash, and a planner without loops does badly by it. #}
{% macro declared(field, source, record_type) -%}
    (
        select sources.{{ field }} from {{ ref('stg_raw__sources') }} as sources
        where sources.source = '{{ source }}' and sources.record_type = '{{ record_type }}'
    )
{%- endmacro %}

{# Currencies with how many minor units one of the source's units makes in each, for a staging model that reads amounts by the
   sign rule `sign`. Where the contract declares another rule there are none: no amount has a unit, and a test refuses that. #}
{% macro declared_units(source, record_type, sign='signed') %}
    select
        currencies.code,
        case {{ declared('scale', source, record_type) }}
            when 'major_decimal' then currencies.scale
            when 'six_decimals' then currencies.scale
            when 'api_minor' then 1
            when 'x100_always' then currencies.scale / 100.0
        end as scale
    from {{ ref('currencies') }} as currencies
    where {{ declared('sign_rule', source, record_type) }} = '{{ sign }}'
{%- endmacro %}

{# The code of a currency as everything after staging writes it, whatever case the contract declares. #}
{% macro declared_currency(written) -%}
    upper({{ written }})
{%- endmacro %}

{# `signed`: minor units of an amount that carries its own sign. `scale` is that of the currency's row in `declared_units`. One
   that may be empty is asked first, which costs; a required one never is. #}
{% macro minor_signed(amount, scale='units.scale', may_be_empty=false) -%}
    {{ minor_units("nullif(" ~ amount ~ ", '')" if may_be_empty else amount, scale) }}
{%- endmacro %}

{# `dr_cr`: minor units of an amount whose side stands beside it, in the contract's words; null for another word. #}
{% macro minor_by_indicator(amount, indicator, source, record_type, scale='units.scale') -%}
    {{ minor_signed(amount, scale, may_be_empty=true) }}
        * case {{ indicator }}
            when {{ declared('credit_word', source, record_type) }} then 1
            when {{ declared('debit_word', source, record_type) }} then -1
        end
{%- endmacro %}

{# An amount of SWIFT, whose decimals stand behind a comma, as a number is written elsewhere. #}
{% macro with_point(amount) -%}
    replace({{ amount }}, ',', '.')
{%- endmacro %}

{# `debit_credit_columns`: minor units of two columns of which one is filled; null where neither is. #}
{% macro minor_by_columns(debit, credit, scale='units.scale') -%}
    case
        when nullif({{ debit }}, '') is not null or nullif({{ credit }}, '') is not null
            then {{ minor_units(
                "(coalesce(nullif(" ~ credit ~ ", ''), '0')::numeric - coalesce(nullif(" ~ debit ~ ", ''), '0')::numeric)", scale
            ) }}
    end
{%- endmacro %}

{# A timestamp in the zone that the contract declares; and its day, in UTC as all our days. #}
{% macro declared_instant(written, source, record_type) -%}
    {{ written }}::timestamp at time zone {{ declared('time_zone', source, record_type) }}
{%- endmacro %}

{% macro declared_day(written, source, record_type) -%}
    ({{ declared_instant(written, source, record_type) }} at time zone 'UTC')::date
{%- endmacro %}

{# A timestamp in the zone that the contract declares or, where the file lacks that column, the one in the zone of the report. #}
{% macro instant_or_local(written, local, source, record_type) -%}
    coalesce({{ declared_instant(written, source, record_type) }}, {{ local }}::timestamp at time zone files.time_zone)
{%- endmacro %}

{# A timestamp beside which its zone stands, in the first of `labels` that is filled; null for one that is empty. #}
{% macro zoned_instant(written, labels) -%}
    raw.zoned_instant(
        nullif({{ written }}, '')::timestamp,
        coalesce({% for label in labels %}nullif({{ label }}, ''){{ ', ' if not loop.last }}{% endfor %}),
        files.time_zone
    )
{%- endmacro %}

{# Whether a row of the day `day`, on the axis by which its provider selects rows, is one that no newer report replaces. #}
{% macro is_not_replaced(day) -%}
    (files.replaced_days is null or not ({{ day }} <@ files.replaced_days))
{%- endmacro %}
