{# CTEs `<name>_reached` and `<name>`: the groups that pairs (payout_number, bank_line_id) of the CTE `pairs` join, as
   (payout_number, group_number); the least payout number of a group is its name. To be used under `with recursive`, on residues:
   a pair that stands alone costs one row, a group of n payouts up to n * n. #}
{% macro components(name, pairs) %}
{{ name }}_firsts as (

    select pairs.bank_line_id, min(pairs.payout_number) as payout_number
    from {{ pairs }} as pairs
    group by pairs.bank_line_id

),

{{ name }}_steps as (

    select pairs.payout_number as from_number, firsts.payout_number as to_number
    from {{ pairs }} as pairs
    inner join {{ name }}_firsts as firsts
        on pairs.bank_line_id = firsts.bank_line_id

    union

    select firsts.payout_number as from_number, pairs.payout_number as to_number
    from {{ pairs }} as pairs
    inner join {{ name }}_firsts as firsts
        on pairs.bank_line_id = firsts.bank_line_id

),

{{ name }}_reached as (

    select steps.from_number as payout_number, steps.to_number as reached_number
    from {{ name }}_steps as steps

    union

    select reached.payout_number, steps.to_number as reached_number
    from {{ name }}_reached as reached
    inner join {{ name }}_steps as steps
        on reached.reached_number = steps.from_number

),

{{ name }} as (

    select reached.payout_number, min(reached.reached_number) as group_number
    from {{ name }}_reached as reached
    group by reached.payout_number

)
{%- endmacro %}
