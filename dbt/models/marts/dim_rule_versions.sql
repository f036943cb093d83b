-- Grain: one row per matching rule in force, with its version.
{# Unlogged like the largest mart, and never empty: if a crash of the server emptied that one, this one tells. #}
{{- config(unlogged=true) }}
select
    rules.leg,
    rules.stage,
    rules.rule,
    rules.version,
    rules.tolerance_minor,
    rules.window_business_days,
    rules.description
from {{ ref('match_rules') }} as rules
