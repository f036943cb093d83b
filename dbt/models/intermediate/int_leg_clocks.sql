-- One row per leg, provider account, what is waited for, and on leg B currency: the day to which grace counts.
-- It is the lesser of the run's day and what both sides' feeds have come to, so that nothing is called missing before the report
-- that would hold it has come. The account '' stands for money of a provider that no account is known of.
{%- set held_days = 31 %}
with feeds as (

    select * from {{ ref('int_feed_clocks') }}

),

awaited as (

    select
        items.provider,
        items.account,
        items.awaits,
        min(items.effective_on) as first_on
    from {{ ref('int_awaited_items') }} as items
    group by items.provider, items.account, items.awaits

),

lines as (

    select
        lines.provider,
        lines.account_iban,
        lines.currency,
        min(lines.booked_on) as first_on
    from {{ ref('int_bank_lines') }} as lines
    group by lines.provider, lines.account_iban, lines.currency

),

payouts as (

    select
        payouts.provider,
        payouts.currency,
        min(payouts.expected_on) as first_on
    from {{ ref('int_psp_payouts') }} as payouts
    where payouts.is_expected_at_bank
    group by payouts.provider, payouts.currency

),

-- Several feeds may bring the same; the one that has come furthest counts. One that is set and has never come holds by itself.
reported as (

    select
        feeds.provider,
        feeds.account,
        waits.awaits,
        max(feeds.clock_on) as clock_on
    from feeds
    inner join (values ('items'), ('payouts')) as waits (awaits)
        on feeds.carries in (waits.awaits, 'items_and_payouts')
    group by feeds.provider, feeds.account, waits.awaits

),

-- A feed that never came holds from the first day on which somebody waits for it.
unreported as (

    select
        awaited.provider,
        awaited.account,
        awaited.awaits,
        case
            when {{ pinned('as_of') }} - awaited.first_on < {{ held_days }} then awaited.first_on - 1
            else {{ pinned('as_of') }}
        end as clock_on
    from awaited

),

leg_a as (

    select
        coalesce(reported.provider, unreported.provider) as provider,
        coalesce(reported.account, unreported.account) as account,
        coalesce(reported.awaits, unreported.awaits) as awaits,
        least(coalesce(reported.clock_on, unreported.clock_on), {{ pinned('as_of') }}) as clock_on
    from reported
    full join unreported
        on reported.provider = unreported.provider
        and reported.account = unreported.account
        and reported.awaits = unreported.awaits
    where coalesce(reported.clock_on, unreported.clock_on) is not null

),

currencies as (

    select lines.provider, lines.currency, min(lines.first_on) as first_on
    from lines
    group by lines.provider, lines.currency

    union

    select payouts.provider, payouts.currency, payouts.first_on
    from payouts
    where not exists (
            select 1 from lines where lines.provider = payouts.provider and lines.currency = payouts.currency
        )

),

-- Where a provider pays is seen from what it paid; until then any account in the currency may be the one.
bank_feeds as (

    select
        currencies.provider,
        currencies.currency,
        feeds.clock_on,
        lines.account_iban is not null as is_paid_there,
        bool_or(lines.account_iban is not null) over (partition by currencies.provider, currencies.currency) as is_known
    from currencies
    inner join feeds
        on currencies.currency = feeds.currency
        and feeds.carries = 'bank'
    left join lines
        on currencies.provider = lines.provider
        and currencies.currency = lines.currency
        and feeds.account = lines.account_iban

),

banks as (

    select bank_feeds.provider, bank_feeds.currency, min(bank_feeds.clock_on) as clock_on
    from bank_feeds
    where bank_feeds.is_paid_there or not bank_feeds.is_known
    group by bank_feeds.provider, bank_feeds.currency

),

payers as (

    select leg_a.provider, leg_a.account, leg_a.clock_on
    from leg_a
    where leg_a.awaits = 'payouts'

    union all

    select leg_a.provider, '' as account, min(leg_a.clock_on) as clock_on
    from leg_a
    where leg_a.awaits = 'payouts'
    group by leg_a.provider

    union all

    -- Nothing but bank lines speaks of this provider.
    select
        currencies.provider,
        '' as account,
        case
            when {{ pinned('as_of') }} - min(currencies.first_on) < {{ held_days }} then min(currencies.first_on) - 1
            else {{ pinned('as_of') }}
        end as clock_on
    from currencies
    where not exists (
            select 1 from leg_a where leg_a.provider = currencies.provider and leg_a.awaits = 'payouts'
        )
    group by currencies.provider

),

leg_b as (

    select
        payers.provider,
        payers.account,
        currencies.currency,
        least(
            payers.clock_on,
            coalesce(
                banks.clock_on,
                case
                    when {{ pinned('as_of') }} - currencies.first_on < {{ held_days }} then currencies.first_on - 1
                    else {{ pinned('as_of') }}
                end
            ),
            {{ pinned('as_of') }}
        ) as clock_on
    from payers
    inner join currencies
        on payers.provider = currencies.provider
    left join banks
        on currencies.provider = banks.provider
        and currencies.currency = banks.currency

),

final as (

    select 'A' as leg, leg_a.provider, leg_a.account, leg_a.awaits, '' as currency, leg_a.clock_on
    from leg_a

    union all

    select 'B' as leg, leg_b.provider, leg_b.account, 'bank' as awaits, leg_b.currency, leg_b.clock_on
    from leg_b

)

select * from final
