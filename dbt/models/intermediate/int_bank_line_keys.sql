-- One row per bank line: what identifies it. The line's own content does, always; its reference does only while no other line of
-- its provider ever carried it, because banks and payers use references again.
with lines as (

    select * from {{ ref('int_bank_lines') }}

),

final as (

    select
        lines.bank_line_id,
        concat_ws(
            ' ',
            lines.account_iban,
            lines.booked_on,
            lines.reference,
            lines.amount_minor,
            -- Equal in all of it: told apart by number, which of them is which does not matter.
            nullif(
                row_number() over (
                    partition by lines.account_iban, lines.booked_on, lines.reference, lines.currency, lines.amount_minor
                    order by lines.bank_line_id
                ),
                1
            )
        ) as line_key,
        count(*) over (partition by lines.provider, lines.reference, lines.currency, lines.sign) = 1 as is_reference_unique
    from lines

)

select * from final
