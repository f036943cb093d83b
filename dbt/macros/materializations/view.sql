{# A view, in one message to the server. #}
{% materialization view, adapter='postgres' %}
    {%- set standing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='view') -%}

    {% call statement('main') -%}
        drop {{ standing.type if standing is not none else 'view' }} if exists {{ target }} cascade;
        create view {{ target }} as (
        {{ sql }}
        )
    {%- endcall %}
    {% do adapter.commit() %}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}
