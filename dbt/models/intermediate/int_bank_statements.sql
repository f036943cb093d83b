-- One row per (bank account, currency, statement, page), from the newest landing: one IBAN may hold several currencies.
with landed as (

{{ union_of('bank_statements') }}

),

final as (

    select distinct on (landed.account_iban, landed.currency, landed.statement_id, landed.page)
        landed.source,
        landed.file_no,
        landed.statement_ordinal,
        landed.bank_account,
        landed.account_iban,
        landed.statement_id,
        landed.electronic_sequence,
        landed.page,
        landed.is_last_page,
        landed.currency,
        landed.opening_minor,
        landed.closing_minor,
        landed.opening_on,
        landed.closing_on
    from landed
    order by
        landed.account_iban,
        landed.currency,
        landed.statement_id,
        landed.page,
        landed.received_at desc,
        landed.row_sha256 desc,
        landed.file_no desc,
        landed.statement_ordinal desc

)

select * from final
