{# What has no payment behind it: the provider's own fees and taxes, and payouts. A report gives such a row as gross or as fee, a
   company books it on whichever of its accounts it likes; neither is a difference between the two, so the net alone is compared. #}
{% macro is_compared_by_net(event) -%}
    coalesce({{ event }} in ('fee', 'tax', 'payout', 'payout_reversal'), false)
{%- endmacro %}

{# Equal net, gross and fee; of what is compared by its net, equal net. #}
{% macro amounts_agree(ledger, psp) -%}
    {{ ledger }}.net_minor = {{ psp }}.net_minor
    and (
        {{ is_compared_by_net(psp ~ '.event') }}
        or ({{ ledger }}.gross_minor = {{ psp }}.gross_minor and {{ ledger }}.fee_minor = {{ psp }}.fee_minor)
    )
{%- endmacro %}
