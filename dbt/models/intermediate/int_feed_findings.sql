-- One row per reason of the feeds: what is late, what a gap hides, days that no file reaches while somebody waits, and a file
-- whose own totals fail. One for each feed and cause, however many days and items it concerns.
with clocks as (

    select * from {{ ref('int_feed_clocks') }}

),

spans as (

    select * from {{ ref('int_feed_spans') }}

),

differences as (

    select
        differences.leg,
        differences.provider,
        differences.account,
        differences.class,
        differences.currency,
        differences.base_on,
        awaited.awaits,
        classes.awaits_kind
    from {{ ref('fct_differences') }} as differences
    inner join {{ ref('break_classes') }} as classes
        on differences.class = classes.class
    left join {{ ref('int_awaited_items') }} as awaited
        on differences.ledger_item_id = awaited.ledger_item_id
    where differences.status = 'break'
        and classes.awaits_kind is not null

),

late as (

    select
        'feed_late' as kind,
        clocks.source,
        clocks.account,
        clocks.record_type || case when clocks.currency = '' then '' else ' ' || clocks.currency end as subject,
        coalesce('has come through ' || clocks.covered_through, 'has never come')
        || '; ' || clocks.cadence || coalesce(', due on ' || clocks.due_on, '')
        || ': ingest what has come since, or ask whoever sends it' as detail
    from clocks
    where clocks.is_late

),

held as (

    select
        'report_gap' as kind,
        clocks.source,
        clocks.account,
        clocks.record_type || ' ' || clocks.gap_from || '..' || clocks.gap_to as subject,
        'no file covers these days, and the ledger has items that wait for one: fetch the reports of these days' as detail
    from clocks
    where clocks.gap_from is not null
        and clocks.carries <> 'bank'

),

-- The days of breaks that a report would answer, each held against every file of its own account and kind.
awaited_days as (

    select
        differences.provider,
        differences.account,
        differences.awaits,
        differences.base_on,
        count(*) as items
    from differences
    where differences.awaits_kind = 'psp'
    group by differences.provider, differences.account, differences.awaits, differences.base_on

),

-- Spans that touch or overlap are one: a day is then looked for among a few.
span_starts as (

    select
        spans.provider,
        spans.account,
        waits.awaits,
        spans.reaches_from,
        spans.covers_to,
        case
            when spans.reaches_from <= max({{ through_weekend('spans.covers_to') }} + 1) over (
                partition by spans.provider, spans.account, waits.awaits
                order by spans.reaches_from, spans.covers_to
                rows between unbounded preceding and 1 preceding
            ) then 0
            else 1
        end as is_start
    from spans
    inner join (values ('items'), ('payouts')) as waits (awaits)
        on spans.carries in (waits.awaits, 'items_and_payouts')

),

numbered as (

    select
        span_starts.*,
        sum(span_starts.is_start) over (
            partition by span_starts.provider, span_starts.account, span_starts.awaits
            order by span_starts.reaches_from, span_starts.covers_to
        ) as stretch
    from span_starts

),

stretches as (

    select
        numbered.provider,
        numbered.account,
        numbered.awaits,
        min(numbered.reaches_from) as first_on,
        max({{ through_weekend('numbered.covers_to') }}) as last_on
    from numbered
    group by numbered.provider, numbered.account, numbered.awaits, numbered.stretch

),

reached as (

    select
        stretches.provider,
        stretches.account,
        stretches.awaits,
        min(stretches.first_on) as first_on,
        max(stretches.last_on) as last_on
    from stretches
    group by stretches.provider, stretches.account, stretches.awaits

),

unreached as (

    select
        case
            when awaited_days.base_on between reached.first_on and reached.last_on then 'report_gap'
            else 'report_missing'
        end as kind,
        awaited_days.provider,
        awaited_days.account,
        awaited_days.awaits,
        min(awaited_days.base_on) as first_on,
        max(awaited_days.base_on) as last_on,
        sum(awaited_days.items) as items
    from awaited_days
    left join reached
        on awaited_days.provider = reached.provider
        and awaited_days.account = reached.account
        and awaited_days.awaits = reached.awaits
    where not exists (
            select 1 from stretches
            where stretches.provider = awaited_days.provider
                and stretches.account = awaited_days.account
                and stretches.awaits = awaited_days.awaits
                and awaited_days.base_on between stretches.first_on and stretches.last_on
        )
    group by 1, awaited_days.provider, awaited_days.account, awaited_days.awaits

),

unreported as (

    select
        unreached.kind,
        unreached.provider as source,
        unreached.account,
        unreached.awaits || ' ' || unreached.first_on || '..' || unreached.last_on as subject,
        'entries of the ledger on these days: ' || unreached.items || ', and no report of ' || unreached.awaits
        || ' reaches them: fetch the reports of these days' as detail
    from unreached

),

banks as (

    select clocks.currency, string_agg(distinct clocks.source, ', ') as sources, max(clocks.last_on) as last_on
    from clocks
    where clocks.carries = 'bank'
    group by clocks.currency

),

-- Where a statement in a currency nobody has stated yet would come from: the banks that speak, else those that could.
bank_sources as (

    select coalesce(
        (select string_agg(distinct clocks.source, ', ') from clocks where clocks.carries = 'bank'),
        string_agg(distinct sources.source, ', ')
    ) as sources
    from {{ ref('stg_raw__sources') }} as sources
    where sources.kind = 'bank'

),

unstated as (

    select
        'statement_missing' as kind,
        coalesce(banks.sources, bank_sources.sources) as source,
        differences.account,
        differences.currency || ' ' || min(differences.base_on) || '..' || max(differences.base_on) as subject,
        'payouts due on these days: ' || count(*) || ', and no statement reaches them: fetch the statements of these days' as detail
    from differences
    cross join bank_sources
    left join banks
        on differences.currency = banks.currency
    where differences.awaits_kind = 'bank'
        and (banks.last_on is null or {{ through_weekend('banks.last_on') }} < differences.base_on)
    group by coalesce(banks.sources, bank_sources.sources), differences.account, differences.currency

),

-- A file that begins after the run's day is no part of it. Of a bank's files only the statements that count are asked, one by one
-- (`int_bank_findings`).
failed_totals as (

    select distinct
        'control_total' as kind,
        totals.source,
        totals.account,
        totals.file_name || ': ' || totals.name || ' ' || totals.subject as subject,
        'the file states ' || coalesce(totals.expected, 'nothing') || ', and its rows make ' || coalesce(totals.actual, 'nothing')
        || ': look for rows that were put aside, else fetch the file again' as detail
    from {{ ref('int_failed_totals') }} as totals
    inner join {{ ref('stg_raw__files') }} as files
        on totals.file_no = files.file_no
    -- Of a bank's files only the statements that count are asked (`int_bank_findings`).
    where files.kind is distinct from 'bank'
        and coalesce(least(files.covers_from, files.rows_from), {{ pinned('as_of') }}) <= {{ pinned('as_of') }}

),

final as (

    select * from late
    union all
    select * from held
    union all
    select * from unreported
    union all
    select * from unstated
    union all
    select * from failed_totals

)

select * from final
