-- Grain: one row per reason for which this run is incomplete. None is what a run hopes for: missing input is never zero.
-- The union of what each part of the run finds, and of what only the whole shows.
with statements as (

    select * from {{ ref('int_bank_statements') }}

),

bridge as (

    select * from {{ ref('fct_reconciliation_bridge') }}

),

numbered as (

    select distinct
        statements.source,
        statements.bank_account,
        statements.account_iban,
        statements.currency,
        statements.electronic_sequence,
        min(statements.opening_minor) over whole as opening_minor,
        min(statements.closing_minor) over whole as closing_minor,
        min(statements.closing_on) over whole as closing_on
    from statements
    where statements.electronic_sequence is not null
    window whole as (partition by statements.account_iban, statements.currency, statements.statement_id)

),

sequenced as (

    select
        numbered.*,
        lag(numbered.electronic_sequence) over earlier as previous_sequence,
        lag(numbered.closing_minor) over earlier as previous_closing_minor
    from numbered
    window earlier as (
        partition by numbered.account_iban, numbered.currency order by numbered.closing_on, numbered.electronic_sequence
    )

),

sequence_gaps as (

    select
        'statement_sequence' as kind,
        sequenced.source,
        sequenced.bank_account as account,
        sequenced.account_iban || ' ' || sequenced.currency || ' ' || sequenced.closing_on as subject,
        'statement ' || sequenced.electronic_sequence || ' follows ' || sequenced.previous_sequence as detail
    from sequenced
    where sequenced.electronic_sequence <> sequenced.previous_sequence + 1
        -- A bank may begin again at 1 with the year.
        and sequenced.electronic_sequence <> 1

),

balance_gaps as (

    select
        'statement_balance' as kind,
        sequenced.source,
        sequenced.bank_account as account,
        sequenced.account_iban || ' ' || sequenced.currency || ' ' || sequenced.closing_on as subject,
        'opens with ' || sequenced.opening_minor || ' after a closing balance of ' || sequenced.previous_closing_minor as detail
    from sequenced
    where sequenced.opening_minor <> sequenced.previous_closing_minor

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

found as (

{% for findings in ['int_feed_findings', 'int_landing_findings'] %}
    select findings.kind, findings.source, findings.account, findings.subject, findings.detail
    from {{ ref(findings) }} as findings
    union all
{% endfor %}
    select * from sequence_gaps
    union all
    select * from balance_gaps
    union all
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
