{# What an item is one of, and what takes such an item back, in whole or in part: a provider's items that a company may book as one. #}
{% macro kin_family(event) -%}
    case
        when {{ event }} in ('charge', 'partial_capture_reversal', 'charge_failure') then 'charge'
        when {{ event }} in ('refund', 'refund_failure') then 'refund'
        when {{ event }} in ('dispute', 'dispute_reversal') then 'dispute'
        when {{ event }} in ('topup', 'topup_reversal') then 'topup'
    end
{%- endmacro %}

{# The items that take back: few, and the only ones for which the rest of their family is looked for. #}
{% macro is_taken_back(event) -%}
    {{ event }} in ('partial_capture_reversal', 'charge_failure', 'refund_failure', 'dispute_reversal', 'topup_reversal')
{%- endmacro %}

{# What a family shares: the charge; of a refund, a dispute or a top-up its own id, for a charge may have several. #}
{% macro kin_id(items) -%}
    case
        when {{ kin_family(items ~ '.event') }} = 'charge' then coalesce({{ items }}.charge_id, {{ items }}.source_id)
        else coalesce({{ items }}.source_id, {{ items }}.charge_id)
    end
{%- endmacro %}
