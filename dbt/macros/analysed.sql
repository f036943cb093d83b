{# Statistics for what the next model joins; a view has none. #}
{% macro analysed() -%}
    {%- if config.get('materialized') == 'table' -%} analyze {{ this }} {%- endif -%}
{%- endmacro %}
