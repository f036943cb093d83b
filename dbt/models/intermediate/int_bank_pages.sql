-- One row per page of a statement inside the pin, each with the statement that it is a page of and its delivery. A statement is
-- (account, currency, number or else id, day); of two whole ones that say so much, the one that opens where the other closed is
-- another. Pages in the order in which the bank made them are one delivery until a page number comes again.
with landed as (

{{ union_of('bank_statements') }}

),

lines as (

    select * from {{ ref('int_bank_lines_landed') }}

),

-- Where a line stands in its file is no part of what it says.
contents as (

    select
        lines.file_no,
        lines.statement_ordinal,
        sum(lines.amount_minor) as moved_minor,
        string_agg(lines.booked_on || ' ' || lines.amount_minor, ' ' order by lines.booked_on, lines.amount_minor) as movements,
        -- One number for all movements, which adds up as they do: of several statements it is that of the one that holds them all.
        sum(hashtextextended(lines.booked_on || ' ' || lines.amount_minor, 0)::numeric) as movements_sum,
        string_agg(said.content, ' ' order by said.content) as content
    from lines
    cross join lateral (
        select md5(jsonb_build_array(
            lines.booked_on, lines.amount_minor, lines.currency, lines.is_reversal, lines.end_to_end_id, lines.remittance,
            lines.counterparty_name, lines.additional_info, lines.account_servicer_reference, lines.texts
        )::text) as content
    ) as said
    group by lines.file_no, lines.statement_ordinal

),

named as (

    select
        landed.*,
        coalesce(
            'electronic ' || landed.electronic_sequence, 'legal ' || landed.legal_sequence, 'id ' || landed.statement_id
        ) as named_by,
        landed.page = 1 and landed.is_last_page as is_whole,
        coalesce(landed.created_at, landed.message_created_at, '-infinity') as made_at,
        coalesce(contents.moved_minor, 0) as moved_minor,
        md5(coalesce(contents.movements, '')) as movements,
        coalesce(contents.movements_sum, 0) as movements_sum,
        md5(coalesce(contents.content, '')) as content
    from landed
    left join contents
        on landed.file_no = contents.file_no
        and landed.statement_ordinal = contents.statement_ordinal

),

closings as (

    select distinct
        named.account_iban,
        named.currency,
        named.named_by,
        named.stated_on,
        named.opening_minor,
        named.closing_minor,
        named.made_at
    from named
    where named.is_whole and named.opening_minor <> named.closing_minor

),

-- What opens where another of its name and day closed, made no later, continues it. Where an earlier day was stated again after
-- that other one, and no later than it, and closes so, it continues that day: then it is the other one stated again.
continuing as (

    select distinct
        named.file_no,
        named.statement_ordinal
    from named
    inner join closings
        on named.account_iban = closings.account_iban
        and named.currency = closings.currency
        and named.named_by = closings.named_by
        and named.stated_on = closings.stated_on
        and named.opening_minor = closings.closing_minor
        and named.made_at >= closings.made_at
    left join named as before
        on named.account_iban = before.account_iban
        and named.currency = before.currency
        and named.opening_minor = before.closing_minor
        and named.stated_on > before.stated_on
        and closings.made_at < before.made_at
        and named.made_at >= before.made_at
    where named.is_whole
        and closings.opening_minor <> named.opening_minor
        and before.file_no is null

),

identified as (

    select
        named.*,
        case when continuing.file_no is not null then named.opening_minor end as continues_minor
    from named
    left join continuing
        on named.file_no = continuing.file_no
        and named.statement_ordinal = continuing.statement_ordinal

),

keyed as (

    select
        identified.*,
        dense_rank() over (
            order by
                identified.account_iban,
                identified.currency,
                identified.stated_on,
                identified.named_by,
                identified.continues_minor nulls first
        ) as statement_no
    from identified

),

-- Of pages made at one instant under one number the ending one comes first, then content decides: never the landing.
versioned as (

    select
        keyed.*,
        coalesce(keyed.message_created_at, keyed.created_at, '-infinity') as sent_at,
        row_number() over (
            partition by keyed.statement_no, keyed.page, keyed.created_at, keyed.message_created_at
            order by keyed.is_last_page desc, keyed.closing_minor, keyed.content, keyed.statement_id, keyed.file_no, keyed.statement_ordinal
        ) as version
    from keyed

),

ordered as (

    select
        versioned.*,
        versioned.page <= lag(versioned.page) over made as is_new_delivery
    from versioned
    window made as (
        partition by versioned.statement_no order by versioned.made_at, versioned.sent_at, versioned.version, versioned.page
    )

),

final as (

    select
        ordered.*,
        count(*) filter (where ordered.is_new_delivery) over (
            partition by ordered.statement_no
            order by ordered.made_at, ordered.sent_at, ordered.version, ordered.page
            rows unbounded preceding
        ) as delivery
    from ordered

)

select
    final.source,
    final.file_no,
    final.statement_ordinal,
    final.bank_account,
    final.servicer,
    final.account_iban,
    final.currency,
    final.statement_no,
    final.statement_id,
    final.electronic_sequence,
    final.legal_sequence,
    final.is_copy,
    final.delivery,
    final.made_at,
    final.sent_at,
    final.version,
    final.page,
    final.is_last_page,
    final.opening_minor,
    final.closing_minor,
    final.starts_on,
    final.opening_on,
    final.closing_on,
    final.stated_on,
    final.moved_minor,
    final.movements,
    final.movements_sum,
    final.content
from final
