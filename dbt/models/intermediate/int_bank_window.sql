-- One row per payout or bank line that no reference joined and that fits others by amount and business day (stage 4 of leg B).
-- `is_mutual`: the only one of its amount in the window of the only one in its own, over all payouts and all lines, joined ones
-- included; those are matched. What merely fits has equally good candidates, and is ambiguous.
{%- set window_days %}(select rules.window_business_days from {{ ref('match_rules') }} as rules where rules.rule = 'payout_amount_window'){% endset %}
with joined as (

    select pairs.payout_number, pairs.bank_line_id from {{ ref('int_bank_pairs') }} as pairs
    union all
    select bank_groups.payout_number, bank_groups.bank_line_id from {{ ref('int_bank_groups') }} as bank_groups

),

candidates as (

    select candidates.payout_number, candidates.bank_line_id
    from {{ ref('int_bank_candidates') }} as candidates
    where candidates.is_same_sign
        and candidates.is_same_currency
        -- What another took is no candidate any more.
        and not exists (select 1 from joined where joined.payout_number = candidates.payout_number)
        and not exists (select 1 from joined where joined.bank_line_id = candidates.bank_line_id)

),

lines as (

    select
        lines.bank_line_id,
        lines.provider,
        lines.currency,
        lines.amount_minor,
        lines.has_reference,
        {{ business_day_number('lines.booked_on') }} as business_day,
        -- A line that names payouts is not looked for by its amount.
        not exists (select 1 from joined where joined.bank_line_id = lines.bank_line_id)
        and not exists (select 1 from candidates where candidates.bank_line_id = lines.bank_line_id) as is_free
    from {{ ref('int_bank_lines') }} as lines
    where not lines.is_cancelled

),

payouts as (

    select
        transfers.payout_number,
        transfers.provider,
        transfers.currency,
        transfers.bank_minor,
        transfers.carries_reference,
        {{ business_day_number('transfers.expected_on') }} as business_day,
        not exists (select 1 from joined where joined.payout_number = transfers.payout_number)
        and not exists (select 1 from candidates where candidates.payout_number = transfers.payout_number) as is_free
    from {{ ref('int_transfers') }} as transfers
    where transfers.is_expected or transfers.kind = 'topup'

),

-- Counted by day first, and each day spread over its window: equal amounts of years are not multiplied by each other.
offsets as (

    select days.days_off::bigint as days_off
    from generate_series(-{{ window_days }}, {{ window_days }}) as days (days_off)

),

line_days as (

    select
        lines.provider,
        lines.currency,
        lines.amount_minor,
        lines.business_day,
        count(*) as items,
        min(lines.bank_line_id) filter (where lines.is_free and not lines.has_reference) as unnamed_id,
        min(lines.bank_line_id) filter (where lines.is_free) as free_id
    from lines
    group by lines.provider, lines.currency, lines.amount_minor, lines.business_day

),

payout_days as (

    select
        payouts.provider,
        payouts.currency,
        payouts.bank_minor,
        payouts.business_day,
        count(*) as items,
        min(payouts.payout_number) filter (where payouts.is_free) as free_number,
        min(payouts.payout_number) filter (where payouts.is_free and not payouts.carries_reference) as unnamed_number
    from payouts
    group by payouts.provider, payouts.currency, payouts.bank_minor, payouts.business_day

),

lines_around as (

{{ seen_around('line_days', 'amount_minor', ['unnamed_id', 'free_id']) }}

),

payouts_around as (

{{ seen_around('payout_days', 'bank_minor', ['free_number', 'unnamed_number']) }}

),

-- Either side without a reference is enough: a payout meets a line that carries none, a top-up any.
payouts_found as (

    select
        payouts.payout_number,
        around.items,
        case when payouts.carries_reference then around.unnamed_id else around.free_id end as bank_line_id
    from payouts
    inner join lines_around as around
        on payouts.provider = around.provider
        and payouts.currency = around.currency
        and payouts.bank_minor = around.amount_minor
        and payouts.business_day = around.business_day
    where payouts.is_free
        and case when payouts.carries_reference then around.unnamed_id else around.free_id end is not null

),

lines_found as (

    select
        lines.bank_line_id,
        around.items,
        case when lines.has_reference then around.unnamed_number else around.free_number end as payout_number
    from lines
    inner join payouts_around as around
        on lines.provider = around.provider
        and lines.currency = around.currency
        and lines.amount_minor = around.bank_minor
        and lines.business_day = around.business_day
    where lines.is_free
        and case when lines.has_reference then around.unnamed_number else around.free_number end is not null

),

mutual as (

    select payouts_found.payout_number, payouts_found.bank_line_id
    from payouts_found
    inner join lines_found
        on payouts_found.payout_number = lines_found.payout_number
        and payouts_found.bank_line_id = lines_found.bank_line_id
    where payouts_found.items = 1
        and lines_found.items = 1

),

final as (

    select mutual.payout_number, mutual.bank_line_id, true as is_mutual
    from mutual

    union all

    select payouts_found.payout_number, null::bigint as bank_line_id, false as is_mutual
    from payouts_found
    where not exists (select 1 from mutual where mutual.payout_number = payouts_found.payout_number)

    union all

    select null::bigint as payout_number, lines_found.bank_line_id, false as is_mutual
    from lines_found
    where not exists (select 1 from mutual where mutual.bank_line_id = lines_found.bank_line_id)

)

select * from final
