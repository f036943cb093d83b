{# The one key of a journal entry, on whichever account it stands: its `metadata.reference`, else its external id without the name
   of the provider before it. #}
{% macro entry_reference(entries, provider) -%}
    coalesce(
        nullif({{ entries }}.metadata_reference, ''),
        case
            when starts_with({{ entries }}.external_id, {{ provider }} || ':')
                then substr({{ entries }}.external_id, length({{ provider }}) + 2)
            else {{ entries }}.external_id
        end
    )
{%- endmacro %}
