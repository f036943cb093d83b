-- One row per booked bank line that counts and that a contract claims for a provider. A reversal and what it reverses are still
-- here, marked: they cancel. What nobody claims (rent, salaries) is nobody's business here: it is counted in
-- `int_bank_lines_not_ours` and left alone.
with lines as (

    select * from {{ ref('int_bank_lines_current') }}

),

texts as (

    select * from {{ ref('int_bank_line_texts') }}

),

claims as (

    select * from {{ ref('stg_raw__bank_claims') }}

),

only_accounts as (

    select * from {{ ref('int_provider_accounts') }}

),

payout_references as (

    select * from {{ ref('int_payout_references') }}

),

several_accounts as (

    select distinct payouts.provider
    from {{ ref('int_psp_payouts') }} as payouts
    where payouts.provider not in (select only_accounts.provider from only_accounts)

),

cancelled as (

    select reversals.reversal_id as bank_line_id from {{ ref('int_bank_reversals') }} as reversals
    union
    select reversals.reversed_id as bank_line_id from {{ ref('int_bank_reversals') }} as reversals

),

-- What each provider's contract finds in a line: a name among its parties, a narrative in any text or reference of it.
found as (

    select
        texts.bank_line_id,
        claims.provider,
        claims.purpose,
        texts.value
    from texts
    inner join claims
        on texts.kind = any(
            case claims.field when 'counterparty_name' then array['party'] else array['reference', 'text'] end
        )
        and texts.value ~* claims.pattern

),

claimed as (

    select distinct on (found.bank_line_id)
        found.bank_line_id,
        found.provider
    from found
    where found.purpose = 'ownership'
    order by found.bank_line_id, found.provider

),

-- What could speak against a match by amount and day: the payer's own reference, and words that look like a payout's id. The
-- bank's own numbers are none.
spoken as (

    select lines.bank_line_id, {{ bare('own.reference') }} as word
    from lines
    inner join claimed
        on lines.bank_line_id = claimed.bank_line_id
    cross join lateral (values (lines.end_to_end_id), (lines.structured_reference)) as own (reference)
    where own.reference <> all(array[
        coalesce(lines.account_servicer_reference, ''), coalesce(lines.entry_reference, '')
    ])

    union

    select found.bank_line_id, {{ bare('words.word') }} as word
    from found
    inner join claimed
        on found.bank_line_id = claimed.bank_line_id
        and found.provider = claimed.provider
    inner join claims
        on found.provider = claims.provider
        and claims.purpose = 'payout_reference'
    cross join lateral regexp_split_to_table(found.value, '\s+') as words (word)
    where found.purpose = 'payout_reference'
        and words.word ~* claims.pattern

),

-- A bank cuts texts where its lines end. The beginning of an id that some payout has is half an id, and half an id is none.
beginnings as (

    select distinct left(named.word, place) as word
    from (select distinct {{ bare('payout_references.reference') }} as word from payout_references) as named
    cross join lateral generate_series(1, length(named.word) - 1) as place

),

referenced as (

    select distinct spoken.bank_line_id
    from spoken
    left join beginnings
        on spoken.word = beginnings.word
    where beginnings.word is null
        and spoken.word <> ''

),

final as (

    select
        lines.bank_line_id,
        lines.source,
        lines.file_no,
        lines.statement_ordinal,
        claimed.provider,
        -- With several accounts at a provider the payout that a line meets says which one.
        case
            when several_accounts.provider is null
                then coalesce(only_accounts.account, {{ pinned('provider_account') }})
        end as account,
        lines.account_iban,
        -- How people name the line: what the payer said, else what the bank calls it.
        coalesce(
            lines.end_to_end_id,
            lines.account_servicer_reference,
            lines.entry_reference,
            lines.account_iban || '/' || lines.booked_on
        ) as reference,
        referenced.bank_line_id is not null as has_reference,
        lines.currency,
        lines.amount_minor::numeric(38, 0) as amount_minor,
        sign(lines.amount_minor)::smallint as sign,
        lines.is_reversal,
        cancelled.bank_line_id is not null as is_cancelled,
        lines.booked_on,
        lines.value_on
    from lines
    inner join claimed
        on lines.bank_line_id = claimed.bank_line_id
    left join only_accounts
        on claimed.provider = only_accounts.provider
    left join several_accounts
        on claimed.provider = several_accounts.provider
    left join referenced
        on lines.bank_line_id = referenced.bank_line_id
    left join cancelled
        on lines.bank_line_id = cancelled.bank_line_id
    -- A line of nothing (an advice, a notice) pays nothing.
    where lines.amount_minor <> 0

)

select * from final
