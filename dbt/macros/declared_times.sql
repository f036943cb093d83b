{# A timestamp of a file, written in the time zone that its source's contract declares; and its day, in UTC as all our days. #}
{% macro declared_instant(written, files='files') -%}
    {{ written }}::timestamp at time zone {{ files }}.time_zone
{%- endmacro %}

{% macro declared_day(written, files='files') -%}
    ({{ declared_instant(written, files) }} at time zone 'UTC')::date
{%- endmacro %}
