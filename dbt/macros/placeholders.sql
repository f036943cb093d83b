{# A text as a placeholder is recognised by: small letters, without blanks and punctuation. #}
{% macro bare(written) -%}
    regexp_replace(lower({{ written }}), '[[:space:][:punct:][:cntrl:]]+', '', 'g')
{%- endmacro %}

{# Whether a text says nothing: null or empty, punctuation or zeros alone, or one of the words that banks write where there is nothing to
   write (`placeholders`). #}
{% macro is_placeholder(written) -%}
    (
        {{ bare(written) }} ~ '^(0*|null)$'
        or {{ bare(written) }} in (select placeholders.word from {{ ref('placeholders') }} as placeholders)
    )
{%- endmacro %}

{% macro without_placeholder(written) -%}
    case when {{ written }} is not null and not {{ is_placeholder(written) }} then {{ written }} end
{%- endmacro %}
