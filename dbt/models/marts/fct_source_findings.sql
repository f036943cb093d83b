-- Grain: one row per reason for which this run is incomplete. None is what a run hopes for: missing input is never zero.
-- The union of what each part of the run finds, and of what only the whole shows.
with bridge as (

    select * from {{ ref('fct_reconciliation_bridge') }}

),

residuals as (

    select
        'bridge_residual' as kind,
        bridge.provider as source,
        bridge.account,
        'leg ' || bridge.leg || ' ' || bridge.currency as subject,
        {{ amount_shown('bridge.amount_minor') }} || ' ' || bridge.currency
        || ' that no class explains: do not use the figures of this run, and tell who keeps this program' as detail
    from bridge
    left join {{ ref('currencies') }} as currencies
        on bridge.currency = currencies.code
    where bridge.step = 'residual'
        and bridge.amount_minor <> 0

),

found as (

{% for findings in ['int_feed_findings', 'int_landing_findings', 'int_bank_findings'] %}
    select findings.kind, findings.source, findings.account, findings.subject, findings.detail
    from {{ ref(findings) }} as findings
    union all
{% endfor %}
    select * from residuals

),

final as (

    select distinct
        found.kind,
        coalesce(found.source, '') as source,
        coalesce(found.account, '') as account,
        coalesce(found.subject, '') as subject,
        coalesce(found.detail, '') as detail
    from found

)

select * from final
