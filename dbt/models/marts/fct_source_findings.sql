-- Grain: one row per reason for which this run is incomplete. None is what a run hopes for: missing input is never zero.
with totals as (

    select * from {{ ref('stg_raw__control_totals') }}

),

statements as (

    select * from {{ ref('int_bank_statements') }}

),

coverage as (

    select * from {{ ref('fct_source_coverage') }}

),

differences as (

    select differences.*, classes.awaits_kind
    from {{ ref('fct_differences') }} as differences
    left join {{ ref('break_classes') }} as classes
        on differences.class = classes.class

),

bridge as (

    select * from {{ ref('fct_reconciliation_bridge') }}

),

psp_sources as (

    select distinct sources.source
    from {{ ref('stg_raw__sources') }} as sources
    where sources.kind = 'psp'

),

failed_totals as (

    select
        'control_total' as kind,
        totals.source,
        totals.account,
        totals.file_name || ': ' || totals.name || ' ' || totals.subject as subject,
        'expected ' || coalesce(totals.expected, 'nothing') || ', found ' || coalesce(totals.actual, 'nothing') as detail
    from totals
    -- Of a bank's files only the statements that count are asked (`int_bank_findings`).
    where not totals.passed
        and totals.source not in (
            select sources.source from {{ ref('stg_raw__sources') }} as sources where sources.kind = 'bank'
        )

),

-- A ledger item that nobody answers on a day that no report covers says nothing about the item.
report_days as (

    select coverage.record_type, min(coverage.covered_on) as first_on, max(coverage.covered_on) as last_on
    from coverage
    where coverage.source in (select psp_sources.source from psp_sources)
    group by coverage.record_type

),

report_gaps as (

    select
        'report_gap' as kind,
        coverage.source,
        coverage.account,
        coverage.record_type || ' ' || coverage.covered_on as subject,
        'no file covers the day, and the ledger has items on it' as detail
    from coverage
    where coverage.source in (select psp_sources.source from psp_sources)
        and coverage.is_expected
        and not coverage.is_present
        and exists (
            select 1 from differences
            where differences.awaits_kind = 'psp' and differences.base_on = coverage.covered_on
        )

),

unreported as (

    select
        'report_missing' as kind,
        differences.provider as source,
        differences.account,
        differences.provider || ' ' || differences.base_on as subject,
        'no report reaches the day, and the ledger has items on it' as detail
    from differences
    where differences.awaits_kind = 'psp'
        and differences.status = 'break'
        and not exists (
            select 1 from report_days
            where differences.base_on between report_days.first_on and report_days.last_on
        )
    group by differences.provider, differences.account, differences.base_on

),

bank_days as (

    select
        statements.currency,
        string_agg(distinct statements.source, ', ') as sources,
        max(coalesce(statements.closing_on, statements.opening_on)) as last_on
    from statements
    group by statements.currency

),

-- Where a statement in a currency nobody has stated yet would come from: the banks that speak, else those that could.
bank_sources as (

    select coalesce(
        (select string_agg(distinct statements.source, ', ') from statements),
        string_agg(distinct sources.source, ', ')
    ) as sources
    from {{ ref('stg_raw__sources') }} as sources
    where sources.kind = 'bank'

),

unstated as (

    select
        'statement_missing' as kind,
        coalesce(bank_days.sources, bank_sources.sources) as source,
        differences.account,
        differences.currency || ' ' || differences.base_on as subject,
        'a payout was due, and no statement reaches the day' as detail
    from differences
    cross join bank_sources
    left join bank_days
        on differences.currency = bank_days.currency
    where differences.awaits_kind = 'bank'
        and differences.status = 'break'
        and (bank_days.last_on is null or bank_days.last_on < differences.base_on)
    group by
        bank_days.sources,
        bank_sources.sources,
        differences.account,
        differences.currency,
        differences.base_on

),

residuals as (

    select
        'bridge_residual' as kind,
        bridge.provider as source,
        bridge.account,
        'leg ' || bridge.leg || ' ' || bridge.currency as subject,
        bridge.amount_minor || ' minor units that no class explains' as detail
    from bridge
    where bridge.step = 'residual'
        and bridge.amount_minor <> 0

),

final as (

    select * from failed_totals
    union all
    select * from {{ ref('int_bank_findings') }}
    union all
    select * from {{ ref('int_landing_findings') }}
    union all
    select * from report_gaps
    union all
    select * from unreported
    union all
    select * from unstated
    union all
    select * from residuals

)

select * from final
