-- One row per booked bank line that counts, whosever it is: of the pages that stand, booked inside the cut.
select
    lines.*,
    deliveries.source,
    deliveries.account_iban,
    deliveries.statement_no,
    deliveries.page,
    deliveries.stated_on
from {{ ref('int_bank_lines_landed') }} as lines
inner join {{ ref('int_bank_deliveries') }} as deliveries
    on lines.file_no = deliveries.file_no
    and lines.statement_ordinal = deliveries.statement_ordinal
where deliveries.is_current
