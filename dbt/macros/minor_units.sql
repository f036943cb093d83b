{# Whole minor units from a decimal text: exact, and null (which a test refuses) rather than rounded. #}
{% macro minor_units(amount, scale) -%}
    case
        when {{ amount }}::numeric * {{ scale }} = trunc({{ amount }}::numeric * {{ scale }})
            then trunc({{ amount }}::numeric * {{ scale }})::numeric(38, 0)
    end
{%- endmacro %}
