-- One row per page of a statement that counts and ends inside the cut; what replaced the others stands in `int_bank_deliveries`.
select
    deliveries.source,
    deliveries.file_no,
    deliveries.statement_ordinal,
    deliveries.bank_account,
    deliveries.servicer,
    deliveries.account_iban,
    deliveries.currency,
    deliveries.statement_no,
    deliveries.statement_id,
    deliveries.electronic_sequence,
    deliveries.legal_sequence,
    deliveries.made_at,
    deliveries.page,
    deliveries.is_last_page,
    deliveries.opening_minor,
    deliveries.closing_minor,
    deliveries.starts_on,
    deliveries.opening_on,
    deliveries.closing_on,
    deliveries.stated_on
from {{ ref('int_bank_deliveries') }} as deliveries
where deliveries.is_current
    and deliveries.is_ended
