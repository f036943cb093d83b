{# Business days are Monday to Friday. A weekend counts as the Friday before it, so that the first day after it is Monday. #}

{# 1900-01-01 was a Monday. #}
{% macro business_day_number(day) -%}
    ((({{ day }} - date '1900-01-01') / 7) * 5 + least(({{ day }} - date '1900-01-01') % 7, 4))
{%- endmacro %}

{% macro business_day_of_number(number) -%}
    (date '1900-01-01' + (({{ number }} / 5) * 7 + {{ number }} % 5)::integer)
{%- endmacro %}

{# The last day that counts like it: a Friday, and what follows it, reaches to the Sunday. #}
{% macro through_weekend(day) -%}
    ({{ day }} + case extract(isodow from {{ day }}) when 5 then 2 when 6 then 1 else 0 end)
{%- endmacro %}

{# The last day of the period after the one that ends on `day`. Five days more find the month that a report of the last business
   days belongs to. #}
{% macro next_period_end(day, cadence) -%}
    case {{ cadence }}
        when 'daily' then {{ day }} + 1
        when 'business_daily' then {{ add_business_days(day, 1) }}
        when 'weekly' then {{ day }} + 7
        when 'monthly' then (date_trunc('month', {{ day }} + 5) + interval '1 month' - interval '1 day')::date
    end
{%- endmacro %}

{% macro add_business_days(day, days) -%}
    {{ business_day_of_number('(' ~ business_day_number(day) ~ ' + ' ~ days ~ ')') }}
{%- endmacro %}
