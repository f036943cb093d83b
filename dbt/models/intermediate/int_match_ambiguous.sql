-- One row per item that has an equal claim to several others after all stages: ambiguity is a class of its own.
-- Items that share an id form one group under the first kind that joins them; a ledger item without any id of the provider's
-- whose amount and days fit an unmatched PSP item is ambiguous alone, because nothing says which of them is its own.
-- What moved nothing takes no part.
{%- set kinds = match_kinds() %}
{%- set window_days %}(select rules.window_business_days from {{ ref('match_rules') }} as rules where rules.rule = 'amount_window'){% endset %}
with ledger_rest as (

    select * from {{ ref('int_ledger_unmatched') }}
    where net_minor <> 0

),

psp_rest as (

    select * from {{ ref('int_psp_unmatched') }}
    where net_minor <> 0

),

edges as (

    select
        edges.ledger_item_id,
        edges.psp_item_id,
        edges.kind_rank,
        case edges.kind_rank
        {%- for kind in kinds %}
            when {{ loop.index }} then '{{ kind.kind }}'
        {%- endfor %}
        end as id_kind,
        ledger_rest.provider,
        ledger_rest.account,
        ledger_rest.reference,
        ledger_rest.currency,
        ledger_rest.sign
    from {{ ref('int_match_edges') }} as edges
    inner join ledger_rest
        on edges.ledger_item_id = ledger_rest.ledger_item_id
    inner join psp_rest
        on edges.psp_item_id = psp_rest.psp_item_id
    where edges.is_same_currency

),

psp_choice as (

    select distinct on (edges.psp_item_id)
        edges.psp_item_id,
        edges.id_kind,
        edges.provider,
        edges.account,
        edges.reference,
        edges.currency,
        edges.sign
    from edges
    order by edges.psp_item_id, edges.kind_rank, edges.reference

),

ledger_choice as (

    select distinct
        edges.ledger_item_id,
        psp_choice.id_kind,
        psp_choice.provider,
        psp_choice.account,
        psp_choice.reference,
        psp_choice.currency,
        psp_choice.sign,
        edges.kind_rank,
        min(edges.kind_rank) over (partition by edges.ledger_item_id) as first_kind_rank
    from edges
    inner join psp_choice
        on edges.psp_item_id = psp_choice.psp_item_id
        and edges.id_kind = psp_choice.id_kind
        and edges.reference = psp_choice.reference

),

groups as (

    select
        ledger_choice.id_kind,
        ledger_choice.provider,
        ledger_choice.account,
        ledger_choice.reference,
        ledger_choice.currency,
        ledger_choice.sign,
        ledger_choice.ledger_item_id,
        null::bigint as psp_item_id
    from ledger_choice
    where ledger_choice.kind_rank = ledger_choice.first_kind_rank

    union all

    select
        psp_choice.id_kind,
        psp_choice.provider,
        psp_choice.account,
        psp_choice.reference,
        psp_choice.currency,
        psp_choice.sign,
        null::bigint as ledger_item_id,
        psp_choice.psp_item_id
    from psp_choice
    inner join (
        select distinct choice.id_kind, choice.provider, choice.account, choice.reference, choice.currency, choice.sign
        from ledger_choice as choice
        where choice.kind_rank = choice.first_kind_rank
    ) as chosen
        using (id_kind, provider, account, reference, currency, sign)

),

psp_days as (

    select distinct
        psp_rest.provider,
        psp_rest.account,
        psp_rest.currency,
        psp_rest.net_minor,
        {{ business_day_number('psp_rest.booked_on') }} + offsets.days_off as business_day
    from psp_rest
    -- Each day spread over its window.
    cross join (
        select days.days_off::bigint as days_off
        from generate_series(-{{ window_days }}, {{ window_days }}) as days (days_off)
    ) as offsets
    where psp_rest.psp_item_id not in (select groups.psp_item_id from groups where groups.psp_item_id is not null)

),

by_window as (

    select distinct
        'amount_window' as id_kind,
        ledger_rest.provider,
        ledger_rest.account,
        ledger_rest.external_id as reference,
        ledger_rest.currency,
        ledger_rest.sign,
        ledger_rest.ledger_item_id,
        null::bigint as psp_item_id
    from ledger_rest
    inner join psp_days
        on ledger_rest.provider = psp_days.provider
        and ledger_rest.account = psp_days.account
        and ledger_rest.currency = psp_days.currency
        and ledger_rest.net_minor = psp_days.net_minor
        and {{ business_day_number('ledger_rest.effective_on') }} = psp_days.business_day
    where not ledger_rest.has_provider_id
        and ledger_rest.ledger_item_id not in (
            select groups.ledger_item_id from groups where groups.ledger_item_id is not null
        )

),

final as (

    select * from groups
    union all
    select * from by_window

)

select * from final
