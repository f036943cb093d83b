{# Business days are Monday to Friday. A weekend counts as the Friday before it, so that the first day after it is Monday. #}

{# 1900-01-01 was a Monday. #}
{% macro business_day_number(day) -%}
    ((({{ day }} - date '1900-01-01') / 7) * 5 + least(({{ day }} - date '1900-01-01') % 7, 4))
{%- endmacro %}

{% macro business_day_of_number(number) -%}
    (date '1900-01-01' + (({{ number }} / 5) * 7 + {{ number }} % 5)::integer)
{%- endmacro %}

{% macro add_business_days(day, days) -%}
    {{ business_day_of_number('(' ~ business_day_number(day) ~ ' + ' ~ days ~ ')') }}
{%- endmacro %}
