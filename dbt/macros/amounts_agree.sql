{# Equal net, gross and fee. A row of the event `fee` is a fee from end to end: the report gives it as gross, a company that books it
   on its fees account as fee. Which of its accounts that is is no difference between the two, so the net alone is compared. #}
{% macro amounts_agree(ledger, psp) -%}
    {{ ledger }}.net_minor = {{ psp }}.net_minor
    and (
        coalesce({{ psp }}.event = 'fee', false)
        or ({{ ledger }}.gross_minor = {{ psp }}.gross_minor and {{ ledger }}.fee_minor = {{ psp }}.fee_minor)
    )
{%- endmacro %}
