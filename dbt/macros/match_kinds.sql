{# The kinds of ids that a provider gives an item, in the order in which they are tried. One place: the waterfall, the keys of a
   break and the listing of candidates all read it. #}
{% macro match_kinds() %}
    {{ return([
        {'kind': 'balance_transaction', 'column': 'psp_transaction_id'},
        {'kind': 'source', 'column': 'source_id'},
        {'kind': 'charge', 'column': 'charge_id'},
        {'kind': 'payment_intent', 'column': 'payment_intent_id'},
        {'kind': 'merchant_reference', 'column': 'merchant_reference'},
    ]) }}
{% endmacro %}
