-- One row per match of a payout and a bank line: stage 1 by reference and equal, stage 2 by reference and unequal, stage 4 by
-- amount and business-day window where payout or line carries no reference.
{%- set window_days %}(select rules.window_business_days from {{ ref('match_rules') }} as rules where rules.rule = 'payout_amount_window'){% endset %}
with lines as (

    select
        lines.*,
        {{ business_day_number('lines.booked_on') }} as business_day
    from {{ ref('int_bank_lines') }} as lines
    where not lines.is_cancelled

),

payouts as (

    select
        payouts.*,
        {{ business_day_number('payouts.expected_on') }} as business_day
    from {{ ref('int_psp_payouts') }} as payouts

),

same_currency as (

    select
        candidates.*,
        count(*) over (partition by candidates.payout_number) as line_count,
        count(*) over (partition by candidates.bank_line_id) as payout_count
    from {{ ref('int_bank_candidates') }} as candidates
    where candidates.is_same_sign
        and candidates.is_same_currency

),

by_reference as (

    select
        same_currency.payout_number,
        same_currency.bank_line_id,
        same_currency.reference,
        case when same_currency.is_same_amount then 1 else 2 end as stage,
        case when not same_currency.is_same_amount then 'amount_mismatch' end as class
    from same_currency
    where same_currency.line_count = 1
        and same_currency.payout_count = 1

),

other_currency as (

    select
        candidates.*,
        count(*) over (partition by candidates.payout_number) as line_count,
        count(*) over (partition by candidates.bank_line_id) as payout_count
    from {{ ref('int_bank_candidates') }} as candidates
    where candidates.is_same_sign
        and candidates.payout_number not in (select by_reference.payout_number from by_reference)
        and candidates.bank_line_id not in (select by_reference.bank_line_id from by_reference)

),

across_currencies as (

    select
        other_currency.payout_number,
        other_currency.bank_line_id,
        other_currency.reference,
        2 as stage,
        'currency_mismatch' as class
    from other_currency
    where other_currency.line_count = 1
        and other_currency.payout_count = 1
        and not other_currency.is_same_currency

),

referenced as (

    select * from by_reference
    union all
    select * from across_currencies

),

-- Counted over all payouts and all lines, matched ones included; every payout of ours carries its id.
in_window as (

    select
        payouts.payout_number,
        lines.bank_line_id,
        lines.has_reference,
        count(*) over (partition by payouts.payout_number) as line_count,
        count(*) over (partition by lines.bank_line_id) as payout_count
    from payouts
    inner join lines
        on payouts.provider = lines.provider
        and payouts.currency = lines.currency
        and payouts.net_minor = lines.amount_minor
        and abs(payouts.business_day - lines.business_day) <= {{ window_days }}

),

by_amount as (

    select
        in_window.payout_number,
        in_window.bank_line_id,
        'amount and day' as reference,
        4 as stage,
        null as class
    from in_window
    where in_window.line_count = 1
        and in_window.payout_count = 1
        and not in_window.has_reference
        and in_window.payout_number not in (select referenced.payout_number from referenced)
        and in_window.bank_line_id not in (select referenced.bank_line_id from referenced)

),

final as (

    select * from referenced
    union all
    select * from by_amount

)

select
    final.payout_number,
    final.bank_line_id,
    final.reference,
    final.stage::smallint as stage,
    final.class
from final
