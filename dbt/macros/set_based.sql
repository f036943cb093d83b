{# How a model's transaction plans: every step of matching is a join of whole sets, and a planner that believes a residue of one
   row and loops over it has been seen to take minutes. Memory is a session's, not the server's: two threads share the machine.
   Stages wait for each other, so one of them is often alone, and may take the other core with it: one worker, so that memory
   doubles at most, and no hash table in shared memory, of which a container has 64 MB. #}
{% macro set_based() -%}
    set local enable_nestloop = off; set local jit = off; set local work_mem = '192MB'; set local hash_mem_multiplier = 1.5;
    set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local enable_parallel_hash = off;
    set local max_parallel_workers_per_gather = 1;
{%- endmacro %}
