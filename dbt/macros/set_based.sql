{# How a model's transaction plans: every step of matching is a join of whole sets, and a planner that believes a residue of one
   row and loops over it has been seen to take minutes. Memory is a session's, not the server's: two threads share the machine. #}
{% macro set_based() -%}
    set local enable_nestloop = off; set local jit = off; set local work_mem = '192MB'; set local hash_mem_multiplier = 1.5;
{%- endmacro %}
