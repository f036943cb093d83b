{# What a payout or a top-up counts for at the bank: one that failed is worth nothing, in a group as elsewhere. #}
{% macro counted_minor(transfers) -%}
    case when {{ transfers }}.is_expected or {{ transfers }}.kind = 'topup' then {{ transfers }}.bank_minor else 0 end
{%- endmacro %}

{# Pairs (payout_number, bank_line_id) of the CTE `pairs`, each with how many lines its payout has there and how many payouts its line. #}
{% macro counted(pairs) -%}
    select
        {{ pairs }}.*,
        count(*) over (partition by {{ pairs }}.payout_number) as line_count,
        count(*) over (partition by {{ pairs }}.bank_line_id) as payout_count
    from {{ pairs }}
{%- endmacro %}

{# CTEs, the last of them `<name>_groups`: who is in a group of those that the CTE `pairs` joins, where payouts and lines of the group
   add up to the same. A payout and a line that name each other alone are a pair, not a group. To be used under `with recursive`, after
   `transfers` with what each payout counts for, and `lines`. #}
{% macro equal_groups(name, pairs) %}
{{ name }}_pairs as (

    select counted.payout_number, counted.bank_line_id
    from ({{ counted(pairs) }}) as counted
    where counted.line_count > 1 or counted.payout_count > 1

),
{{ components(name, name ~ '_pairs') }},

{{ name }}_members as (

    select {{ name }}.group_number, {{ name }}.payout_number, null::bigint as bank_line_id, transfers.counted_minor as amount_minor
    from {{ name }}
    inner join transfers
        on {{ name }}.payout_number = transfers.payout_number

    union all

    select min({{ name }}.group_number) as group_number, null::bigint as payout_number, pairs.bank_line_id, -min(lines.amount_minor) as amount_minor
    from {{ name }}_pairs as pairs
    inner join {{ name }}
        on pairs.payout_number = {{ name }}.payout_number
    inner join lines
        on pairs.bank_line_id = lines.bank_line_id
    group by pairs.bank_line_id

),

{{ name }}_equal as (

    select members.group_number
    from {{ name }}_members as members
    group by members.group_number
    having sum(members.amount_minor) = 0

),

{{ name }}_groups as (

    select members.group_number, members.payout_number, members.bank_line_id
    from {{ name }}_members as members
    inner join {{ name }}_equal as equal
        on members.group_number = equal.group_number

)
{%- endmacro %}
