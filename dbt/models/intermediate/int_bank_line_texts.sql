-- One row per bank line that counts and text that it carries, wherever the bank puts it: in columns of the line, in the entry or in
-- any of its details. Claims and the search for payouts read this one list; what says nothing (`placeholders`) is left out.
with lines as (

    select * from {{ ref('int_bank_lines_current') }}

),

columns as (

    select lines.bank_line_id, named.kind, named.value
    from lines
    cross join lateral (
        values
        ('party', lines.counterparty_name),
        ('reference', lines.end_to_end_id),
        ('reference', lines.instruction_id),
        ('reference', lines.transaction_id),
        ('reference', lines.structured_reference),
        ('reference', lines.account_servicer_reference),
        ('reference', lines.entry_reference),
        ('text', lines.remittance),
        ('text', lines.additional_info)
    ) as named (kind, value)

),

lists as (

    select lines.bank_line_id, named.kind, value
    from lines
    cross join lateral (
        values
        ('party', lines.texts -> 'parties'),
        ('reference', lines.texts -> 'references'),
        ('text', lines.texts -> 'texts')
    ) as named (kind, several)
    cross join lateral jsonb_array_elements_text(named.several) as value
    where jsonb_typeof(named.several) = 'array'

),

final as (

    select columns.bank_line_id, columns.kind, columns.value from columns
    union
    select lists.bank_line_id, lists.kind, lists.value from lists

)

select
    final.bank_line_id,
    final.kind,
    final.value
from final
where final.value is not null
    and not {{ is_placeholder('final.value') }}
