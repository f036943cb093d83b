{# An ISO 8601 moment as an instant, null where it is none: a clock without a zone is read as UTC, a day alone as its beginning. #}
{% macro instant_of(written) -%}
    case
        when {{ written }} ~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$'
            then {{ written }}::timestamptz
        when {{ written }} ~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?$'
            then {{ written }}::timestamp at time zone 'UTC'
        when {{ written }} ~ '^\d{4}-\d\d-\d\d'
            then left({{ written }}, 10)::timestamp at time zone 'UTC'
    end
{%- endmacro %}

{# The last day that ends before or with a moment, in the clock in which it is written: a period that ends at midnight ends with
   the day before. #}
{% macro last_day_until(written) -%}
    case
        when {{ written }} ~ '^\d{4}-\d\d-\d\dT00:00:00(\.0{1,9})?(Z|[+-]\d\d:\d\d)?$' then left({{ written }}, 10)::date - 1
        when {{ written }} <> '' then left({{ written }}, 10)::date
    end
{%- endmacro %}

{# Whole seconds since 1970 as an instant. #}
{% macro instant_of_seconds(written) -%}
    to_timestamp({{ written }}::bigint)
{%- endmacro %}
