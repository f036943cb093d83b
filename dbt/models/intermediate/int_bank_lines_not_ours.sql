{{ config(materialized='view', unlogged=none) }}
-- One row per booked bank line that no contract claims: rent, salaries, other people's money.
with statements as (

    select * from {{ ref('int_bank_statements') }}

),

lines as (

    select * from {{ ref('int_bank_lines_landed') }}

),

claimed as (

    select * from {{ ref('int_bank_lines') }}

),

final as (

    select
        lines.bank_line_id,
        statements.account_iban,
        lines.currency,
        lines.amount_minor,
        lines.booked_on
    from lines
    inner join statements
        on lines.file_no = statements.file_no
        and lines.statement_ordinal = statements.statement_ordinal
    where not exists (select 1 from claimed where claimed.bank_line_id = lines.bank_line_id)

)

select * from final
