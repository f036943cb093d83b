{# Whole minor units from a text: exact, and null (which a test refuses) rather than rounded. `scale` is how many minor units one of
   the source's units makes. #}
{% macro minor_units(amount, scale) -%}
    case
        when {{ amount }}::numeric * {{ scale }} = trunc({{ amount }}::numeric * {{ scale }})
            then trunc({{ amount }}::numeric * {{ scale }})::numeric(38, 0)
    end
{%- endmacro %}

{# The same for the amount of a file, in the units that its source's contract declares. #}
{% macro declared_minor_units(amount, files='files', currencies='currencies') -%}
    {%- set scale -%}
    case {{ files }}.scale
        when 'major_decimal' then {{ currencies }}.scale
        when 'six_decimals' then {{ currencies }}.scale
        when 'api_minor' then 1
        when 'x100_always' then {{ currencies }}.scale / 100.0
    end
    {%- endset -%}
    {{ minor_units(amount, '(' ~ scale ~ ')') }}
{%- endmacro %}
