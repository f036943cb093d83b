{# One side of a difference as evidence. Amounts are digit strings: a reader in another language must not make doubles of them. #}
{% macro ledger_evidence(item) -%}
    jsonb_build_object(
        'side', 'ledger',
        'reference', {{ item }}.reference,
        'external_id', {{ item }}.external_id,
        'ledger_account', {{ item }}.ledger_account,
        'currency', {{ item }}.currency,
        'gross_minor', {{ item }}.gross_minor::text,
        'fee_minor', {{ item }}.fee_minor::text,
        'net_minor', {{ item }}.net_minor::text,
        'on', {{ item }}.effective_on
    )
{%- endmacro %}

{% macro psp_evidence(item) -%}
    jsonb_strip_nulls(jsonb_build_object(
        'side', 'psp',
        'balance_transaction', {{ item }}.psp_transaction_id,
        'source', {{ item }}.source_id,
        'charge', {{ item }}.charge_id,
        'payment_intent', {{ item }}.payment_intent_id,
        'merchant_reference', {{ item }}.merchant_reference,
        'payout', {{ item }}.payout_id,
        'type', {{ item }}.provider_type,
        'currency', {{ item }}.currency,
        'gross_minor', {{ item }}.gross_minor::text,
        'fee_minor', {{ item }}.fee_minor::text,
        'net_minor', {{ item }}.net_minor::text,
        'on', {{ item }}.booked_on
    ))
{%- endmacro %}

{% macro payout_evidence(payout) -%}
    jsonb_strip_nulls(jsonb_build_object(
        'side', 'payout',
        'payout', {{ payout }}.payout_id,
        'balance_transaction', {{ payout }}.psp_transaction_id,
        'status', {{ payout }}.payout_status,
        'currency', {{ payout }}.currency,
        'net_minor', {{ payout }}.net_minor::text,
        -- What reaches the bank, where that is another amount.
        'bank_minor', nullif({{ payout }}.bank_minor, {{ payout }}.net_minor)::text,
        'on', {{ payout }}.booked_on,
        'expected_on', {{ payout }}.expected_on
    ))
{%- endmacro %}

{% macro bank_evidence(line) -%}
    jsonb_build_object(
        'side', 'bank',
        'reference', {{ line }}.reference,
        'bank_account', {{ line }}.account_iban,
        'currency', {{ line }}.currency,
        'amount_minor', {{ line }}.amount_minor::text,
        'on', {{ line }}.booked_on
    )
{%- endmacro %}
