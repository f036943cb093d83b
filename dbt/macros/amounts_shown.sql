{# Minor units as people read them: decimal text in major units. `scale` is that of the currency's row in `currencies`. #}
{% macro amount_shown(minor, scale='currencies.scale') -%}
    round({{ minor }} / {{ scale }}::numeric, log({{ scale }}::numeric)::integer)
{%- endmacro %}
