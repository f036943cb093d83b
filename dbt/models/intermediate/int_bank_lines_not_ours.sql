{{ config(materialized='view', unlogged=none) }}
-- One row per booked bank line that no contract claims: rent, salaries, other people's money.
with lines as (

    select * from {{ ref('int_bank_lines_current') }}

),

claimed as (

    select * from {{ ref('int_bank_lines') }}

),

final as (

    select
        lines.bank_line_id,
        lines.account_iban,
        lines.currency,
        lines.amount_minor,
        lines.booked_on
    from lines
    where not exists (select 1 from claimed where claimed.bank_line_id = lines.bank_line_id)

)

select * from final
