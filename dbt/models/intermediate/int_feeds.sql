-- One row per feed: who brings what for which account, how often, and up to which day it is continuous.
-- The cadence is what is set by hand, else the habit of the last deliveries, else none. A feed without one is never late.
{%- set deliveries = 8 %}
{%- set looked_at = 28 %}
{%- set held_days = 31 %}
with spans as (

    select * from {{ ref('int_feed_spans') }}

),

set_feeds as (

    select * from {{ ref('stg_recon__feeds') }}

),

-- The days on which deliveries ended, newest first. One that ends after the run's day is none of its past.
ends as (

    select
        spans.source,
        spans.account,
        spans.record_type,
        spans.currency,
        spans.ends_on,
        row_number() over (
            partition by spans.source, spans.account, spans.record_type, spans.currency order by spans.ends_on desc
        ) as place
    from spans
    where spans.ends_on <= {{ pinned('as_of') }}
    group by spans.source, spans.account, spans.record_type, spans.currency, spans.ends_on

),

steps as (

    select
        ends.*,
        ends.ends_on - lag(ends.ends_on) over earlier as days,
        {{ business_day_number('ends.ends_on') }} - {{ business_day_number('lag(ends.ends_on) over earlier') }} as business_days
    from ends
    where ends.place <= {{ looked_at }}
    window earlier as (
        partition by ends.source, ends.account, ends.record_type, ends.currency order by ends.ends_on
    )

),

-- Three steps in four: a habit survives a file that stayed away.
habits as (

    select
        steps.source,
        steps.account,
        steps.record_type,
        steps.currency,
        case
            when count(*) < {{ deliveries }} then null
            when bool_and(extract(isodow from steps.ends_on) <= 5)
                and count(*) filter (where steps.business_days = 1) * 4 >= count(steps.days) * 3 then 'business_daily'
            when count(*) filter (where steps.days = 1) * 4 >= count(steps.days) * 3 then 'daily'
            when count(*) filter (where steps.days between 5 and 9) * 4 >= count(steps.days) * 3 then 'weekly'
            when count(*) filter (where steps.days between 26 and 35) * 4 >= count(steps.days) * 3 then 'monthly'
        end as cadence
    from steps
    group by steps.source, steps.account, steps.record_type, steps.currency

),

known as (

    select
        spans.source,
        spans.account,
        spans.record_type,
        spans.currency,
        spans.carries,
        max(spans.provider) as provider,
        max(spans.landed_account) as landed_account,
        count(*) as files,
        min(spans.reaches_from) as first_on,
        max(spans.covers_to) as last_on,
        max(spans.ends_on - spans.covers_from + 1) as longest_days
    from spans
    group by spans.source, spans.account, spans.record_type, spans.currency, spans.carries

),

-- What is set by hand and has never come is a feed all the same.
named as (

    select known.*
    from known

    union all

    select
        set_feeds.source,
        set_feeds.account,
        set_feeds.record_type,
        '' as currency,
        sources.carries,
        sources.provider,
        set_feeds.account as landed_account,
        0 as files,
        null::date as first_on,
        null::date as last_on,
        null::integer as longest_days
    from set_feeds
    inner join {{ ref('stg_raw__sources') }} as sources
        on set_feeds.source = sources.source
        and set_feeds.record_type = sources.record_type
    where not exists (
            select 1 from known
            where known.source = set_feeds.source
                and known.account = set_feeds.account
                and known.record_type = set_feeds.record_type
        )

),

cadenced as (

    select
        named.*,
        coalesce(set_feeds.cadence, habits.cadence) as cadence,
        case
            when set_feeds.cadence is not null then 'set'
            when habits.cadence is not null then 'habit'
        end as cadence_from,
        coalesce(set_feeds.due_hour, 12) as due_hour,
        set_feeds.since
    from named
    left join set_feeds
        on named.source = set_feeds.source
        and named.account = set_feeds.account
        and named.record_type = set_feeds.record_type
    left join habits
        on named.source = habits.source
        and named.account = habits.account
        and named.record_type = habits.record_type
        and named.currency = habits.currency

),

-- Where each span begins, and how far those before it had come.
joints as (

    select
        spans.source,
        spans.account,
        spans.record_type,
        spans.currency,
        spans.carries,
        spans.covers_from,
        max(spans.covers_to) over before as reached,
        lag(spans.closing_minor) over neighbour as closing_before,
        spans.opening_minor,
        count(*) over same_day as on_the_day
    from spans
    window
        before as (
            partition by spans.source, spans.account, spans.record_type, spans.currency
            order by spans.covers_from, spans.covers_to, spans.sequence, spans.file_no
            rows between unbounded preceding and 1 preceding
        ),
        neighbour as (
            partition by spans.source, spans.account, spans.record_type, spans.currency
            order by spans.covers_to, spans.sequence, spans.file_no
        ),
        same_day as (partition by spans.source, spans.account, spans.record_type, spans.currency, spans.covers_to)

),

-- A bank is continuous when its balances are, whatever the days between; a report when two files are no further apart than the
-- cadence. An older gap is a reason for as long as it stays, and no more a cause to wait.
gaps as (

    select
        joints.source,
        joints.account,
        joints.record_type,
        joints.currency,
        min(joints.reached) as reached,
        min(joints.covers_from) as resumes_on
    from joints
    inner join cadenced
        on joints.source = cadenced.source
        and joints.account = cadenced.account
        and joints.record_type = cadenced.record_type
        and joints.currency = cadenced.currency
    where joints.reached >= {{ pinned('as_of') }} - {{ held_days }}
        and case
            when joints.carries = 'bank'
                then joints.on_the_day = 1 and joints.opening_minor <> joints.closing_before
            else joints.covers_from > {{ next_period_end(through_weekend('joints.reached'), 'cadenced.cadence') }}
                and joints.covers_from > {{ through_weekend('joints.reached') }} + 1
        end
    group by joints.source, joints.account, joints.record_type, joints.currency

),

final as (

    select
        cadenced.source,
        cadenced.account,
        cadenced.record_type,
        cadenced.currency,
        cadenced.carries,
        cadenced.provider,
        cadenced.landed_account,
        cadenced.cadence,
        cadenced.cadence_from,
        cadenced.due_hour,
        cadenced.since,
        cadenced.files,
        cadenced.first_on,
        cadenced.last_on,
        cadenced.longest_days,
        {{ through_weekend('gaps.reached') }} + 1 as gap_from,
        gaps.resumes_on - 1 as gap_to,
        case
            when cadenced.last_on is not null
                then least(
                    case when cadenced.cadence = 'daily' then cadenced.last_on else {{ through_weekend('cadenced.last_on') }} end,
                    {{ pinned('as_of') }}
                )
        end as last_covered_on
    from cadenced
    left join gaps
        on cadenced.source = gaps.source
        and cadenced.account = gaps.account
        and cadenced.record_type = gaps.record_type
        and cadenced.currency = gaps.currency

)

select * from final
