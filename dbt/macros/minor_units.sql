{# Whole minor units from a decimal text: exact, and null (which a test refuses) rather than rounded. The product is worked out
   twice a row, not four times as by comparing it with what `trunc` leaves. #}
{% macro minor_units(amount, scale) -%}
    case
        when min_scale({{ amount }}::numeric * {{ scale }}) = 0 then ({{ amount }}::numeric * {{ scale }})::numeric(38, 0)
    end
{%- endmacro %}
