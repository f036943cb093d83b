{# What has no payment behind it: the provider's own fees and taxes, and payouts. A report gives such a row as gross or as fee, a
   company books it on whichever of its accounts it likes; neither is a difference between the two, so the net alone is compared. #}
{% macro is_compared_by_net(event) -%}
    coalesce({{ event }} in ('fee', 'tax', 'payout', 'payout_reversal'), false)
{%- endmacro %}

{# What a row of the provider's own fees or taxes says as an amount, which a company may book as a fee or anywhere else. #}
{% macro row_fee_minor(psp) -%}
    case when {{ psp }}.event in ('fee', 'tax') then -{{ psp }}.net_minor - {{ psp }}.fee_minor else 0 end
{%- endmacro %}

{# Equal net, gross and fee; of what is compared by its net, equal net. #}
{% macro amounts_agree(ledger, psp) -%}
    {{ ledger }}.net_minor = {{ psp }}.net_minor
    and (
        {{ is_compared_by_net(psp ~ '.event') }}
        or ({{ ledger }}.gross_minor = {{ psp }}.gross_minor and {{ ledger }}.fee_minor = {{ psp }}.fee_minor)
    )
{%- endmacro %}
