{# The sources, by kind: the one line that a new source adds to a file that is not its own. Its rows come from the staging models
   `stg_<source>__<table>`, one for each canonical table of its kind. #}
{% macro sources_of_kind(kind) %}
    {{ return({
        'psp': [
            'adyen_settlement',
            'paypal_stl',
            'stripe_api',
            'stripe_report',
        ],
        'bank': [
            'bai2',
            'camt053',
            'mt940',
        ],
        'rail': [],
    }[kind]) }}
{% endmacro %}
