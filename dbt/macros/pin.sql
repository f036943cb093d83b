{# One value of the run's pin. A scalar subquery is computed once a statement; vars would force a full parse every night. #}
{% macro pinned(column) -%}
    (select pin.{{ column }} from {{ ref('stg_recon__pin') }} as pin)
{%- endmacro %}

{# The first instant after the run's day: everything dated before it is inside the cut. #}
{% macro pinned_until() -%}
    (select pin.cut_at from {{ ref('stg_recon__pin') }} as pin)
{%- endmacro %}
