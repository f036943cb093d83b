-- One row per booked bank line that a contract claims for a provider, from the newest landing of its statement.
-- What nobody claims (rent, salaries) is nobody's business here: it is counted in `int_bank_lines_not_ours` and left alone.
with statements as (

    select * from {{ ref('int_bank_statements') }}

),

lines as (

    select * from {{ ref('int_bank_lines_landed') }}

),

claims as (

    select * from {{ ref('stg_raw__bank_claims') }}

),

only_accounts as (

    select * from {{ ref('int_provider_accounts') }}

),

current_lines as (

    select lines.*, statements.account_iban
    from lines
    inner join statements
        on lines.file_no = statements.file_no
        and lines.statement_ordinal = statements.statement_ordinal

),

-- What each provider's contract finds in a line.
found as (

    select
        current_lines.bank_line_id,
        claims.provider,
        bool_or(claims.purpose = 'ownership') as is_owner,
        bool_or(claims.purpose = 'payout_reference') as has_payout_reference
    from current_lines
    inner join claims
        on case claims.field
            when 'counterparty_name' then current_lines.counterparty_name
            when 'remittance' then current_lines.remittance
            when 'additional_info' then current_lines.additional_info
        end ~* claims.pattern
    group by current_lines.bank_line_id, claims.provider

),

claimed as (

    select distinct on (found.bank_line_id)
        found.bank_line_id,
        found.provider,
        found.has_payout_reference
    from found
    where found.is_owner
    order by found.bank_line_id, found.provider

),

final as (

    select
        current_lines.bank_line_id,
        claimed.provider,
        coalesce(only_accounts.account, {{ pinned('provider_account') }}) as account,
        current_lines.account_iban,
        -- How people name the line: what the payer said, else what the bank calls it.
        coalesce(
            current_lines.end_to_end_id,
            current_lines.account_servicer_reference,
            current_lines.entry_reference,
            current_lines.account_iban || '/' || current_lines.booked_on
        ) as reference,
        lower(concat_ws(
            ' ',
            current_lines.end_to_end_id,
            current_lines.instruction_id,
            current_lines.transaction_id,
            current_lines.structured_reference,
            current_lines.account_servicer_reference,
            current_lines.entry_reference,
            current_lines.remittance,
            current_lines.additional_info
        )) as searchable,
        (
            current_lines.end_to_end_id is not null
            or current_lines.structured_reference is not null
            or claimed.has_payout_reference
        ) as has_reference,
        current_lines.currency,
        current_lines.amount_minor::numeric(38, 0) as amount_minor,
        sign(current_lines.amount_minor)::smallint as sign,
        current_lines.booked_on
    from current_lines
    inner join claimed
        on current_lines.bank_line_id = claimed.bank_line_id
    left join only_accounts
        on claimed.provider = only_accounts.provider

)

select * from final
