-- One row per match by (currency, signed amount, business-day window), where the ledger item carries no provider's id (stage 4).
-- `count = 1` is over all items of both sides: an amount that is unique only because its twins matched already proves nothing.
{%- set window_days %}(select rules.window_business_days from {{ ref('match_rules') }} as rules where rules.rule = 'amount_window'){% endset %}
with consumed as (

    select matched_equal.ledger_item_id, matched_equal.psp_item_id from {{ ref('int_match_equal') }} as matched_equal
    union all
    select matched_unequal.ledger_item_id, matched_unequal.psp_item_id from {{ ref('int_match_unequal') }} as matched_unequal
    union all
    select matched_groups.ledger_item_id, matched_groups.psp_item_id from {{ ref('int_match_groups') }} as matched_groups
    union all
    select shared.ledger_item_id, shared.psp_item_id from {{ ref('int_match_shared') }} as shared

),

seekers as (

    select
        items.ledger_item_id,
        items.provider,
        items.account,
        items.currency,
        items.net_minor,
        items.fee_minor,
        items.gross_minor,
        {{ business_day_number('items.effective_on') }} as business_day
    from {{ ref('int_ledger_items') }} as items
    left join {{ ref('int_match_duplicates') }} as repeated
        on items.ledger_item_id = repeated.ledger_item_id
    where not items.has_provider_id
        and not coalesce(repeated.is_duplicate, false)
        and not exists (select 1 from consumed where consumed.ledger_item_id = items.ledger_item_id)

),

-- Amounts that somebody seeks; everything else is left aside before days are compared.
sought as (

    select distinct seekers.provider, seekers.account, seekers.currency, seekers.net_minor
    from seekers

),

-- Counted by day first: a price that half the items share must not be multiplied by itself.
ledger_days as (

    select
        items.provider,
        items.account,
        items.currency,
        items.net_minor,
        {{ business_day_number('items.effective_on') }} as business_day,
        count(*) as items
    from {{ ref('int_ledger_items') }} as items
    inner join sought
        on items.provider = sought.provider
        and items.account = sought.account
        and items.currency = sought.currency
        and items.net_minor = sought.net_minor
    group by items.provider, items.account, items.currency, items.net_minor, business_day

),

psp_days as (

    select
        items.provider,
        items.account,
        items.currency,
        items.net_minor,
        {{ business_day_number('items.booked_on') }} as business_day,
        count(*) as items,
        min(items.psp_item_id) as psp_item_id
    from {{ ref('int_psp_items') }} as items
    inner join sought
        on items.provider = sought.provider
        and items.account = sought.account
        and items.currency = sought.currency
        and items.net_minor = sought.net_minor
    group by items.provider, items.account, items.currency, items.net_minor, business_day

),

seeker_days as (

    select
        seekers.provider,
        seekers.account,
        seekers.currency,
        seekers.net_minor,
        seekers.business_day,
        min(seekers.ledger_item_id) as ledger_item_id
    from seekers
    group by seekers.provider, seekers.account, seekers.currency, seekers.net_minor, seekers.business_day
    having count(*) = 1

),

-- Each day spread over its window: a price that sells every day for years is not multiplied by itself.
offsets as (

    select days.days_off::bigint as days_off
    from generate_series(-{{ window_days }}, {{ window_days }}) as days (days_off)

),

spread_psp_days as (

    select
        psp_days.provider,
        psp_days.account,
        psp_days.currency,
        psp_days.net_minor,
        psp_days.business_day + offsets.days_off as seen_from,
        psp_days.business_day,
        psp_days.items,
        psp_days.psp_item_id
    from psp_days
    cross join offsets

),

spread_ledger_days as (

    select
        ledger_days.provider,
        ledger_days.account,
        ledger_days.currency,
        ledger_days.net_minor,
        ledger_days.business_day + offsets.days_off as seen_from,
        ledger_days.items
    from ledger_days
    cross join offsets

),

-- A seeker whose window holds exactly one PSP item.
found as (

    select
        seeker_days.ledger_item_id,
        min(psp_days.psp_item_id) as psp_item_id,
        min(psp_days.business_day) as psp_business_day,
        seeker_days.provider,
        seeker_days.account,
        seeker_days.currency,
        seeker_days.net_minor
    from seeker_days
    inner join spread_psp_days as psp_days
        on seeker_days.provider = psp_days.provider
        and seeker_days.account = psp_days.account
        and seeker_days.currency = psp_days.currency
        and seeker_days.net_minor = psp_days.net_minor
        and seeker_days.business_day = psp_days.seen_from
    group by
        seeker_days.ledger_item_id,
        seeker_days.provider,
        seeker_days.account,
        seeker_days.currency,
        seeker_days.net_minor
    having sum(psp_days.items) = 1

),

-- And whose window, seen from there, holds exactly one ledger item.
mutual as (

    select found.ledger_item_id, found.psp_item_id
    from found
    inner join spread_ledger_days as ledger_days
        on found.provider = ledger_days.provider
        and found.account = ledger_days.account
        and found.currency = ledger_days.currency
        and found.net_minor = ledger_days.net_minor
        and found.psp_business_day = ledger_days.seen_from
    group by found.ledger_item_id, found.psp_item_id
    having sum(ledger_days.items) = 1

),

final as (

    select mutual.ledger_item_id, mutual.psp_item_id
    from mutual
    inner join seekers
        on mutual.ledger_item_id = seekers.ledger_item_id
    inner join {{ ref('int_psp_items') }} as psp_items
        on mutual.psp_item_id = psp_items.psp_item_id
    where {{ amounts_agree('seekers', 'psp_items') }}
        and not exists (select 1 from consumed where consumed.psp_item_id = mutual.psp_item_id)

)

select * from final
