{# What stands between words: all but small letters and digits, and the field names that German banks write into a text
   (`EREF+po_1SVWZ+Payout`), often without a blank before them. #}
{% macro between_words() -%}
    '((eref|kref|mref|cred|debt|svwz|abwa|abwe|coam|oamt|purp)[+]|[^a-z0-9])+'
{%- endmacro %}

{# How references are compared: small letters and digits alone. Banks put a hyphen, a blank or nothing for a character that their set
   lacks, and break a long text wherever the line ends; what is left after folding is what they could not touch. #}
{% macro folded(written) -%}
    regexp_replace(lower({{ written }}), {{ between_words() }}, '', 'g')
{%- endmacro %}

{# A text's words as they are folded: one row `(word, place)` each, for a `cross join lateral`. #}
{% macro folded_words(written) -%}
    regexp_split_to_table(lower({{ written }}), {{ between_words() }}) with ordinality as pieces (word, place)
{%- endmacro %}

{# Shorter than this a folded text proves nothing. #}
{% macro least_reference_length() -%} 6 {%- endmacro %}

{# A text that so many payouts share (a company's name, say) names none of them. #}
{% macro most_payouts_of_a_reference() -%} 20 {%- endmacro %}
