-- One row per ledger item that does not stand alone under its reference (stage 0: duplicates on one side).
-- Of equal items with one reference the lowest seq continues; the others are duplicates and leave the waterfall. As many continue as
-- the provider has equal items under that id: two refunds of one charge, two orders of one number.
{%- set kinds = match_kinds() %}
with items as not materialized (

    select * from {{ ref('int_ledger_items') }}

),

shared as (

    select items.provider, items.account, items.reference, items.currency, items.sign
    from items
    group by items.provider, items.account, items.reference, items.currency, items.sign
    having count(*) > 1

),

ranked as (

    select
        items.ledger_item_id,
        items.provider,
        items.account,
        items.reference,
        items.currency,
        items.sign,
        items.net_minor,
        items.fee_minor,
        -- What a group of stage 3 took is nobody's duplicate: two summaries of one payout may be equal.
        grouped.ledger_item_id is not null as is_grouped,
        first_value(items.ledger_item_id) over equals as continues_as,
        row_number() over equals as occurrence
    from items
    inner join shared
        on items.provider = shared.provider
        and items.account = shared.account
        and items.reference = shared.reference
        and items.currency = shared.currency
        and items.sign = shared.sign
    left join {{ ref('int_match_groups') }} as grouped
        on items.ledger_item_id = grouped.ledger_item_id
    window equals as (
        partition by
            items.provider,
            items.account,
            items.reference,
            items.currency,
            items.sign,
            items.net_minor,
            items.fee_minor
        order by items.seq, items.ledger_item_id
    )

),

repeated as (

    select distinct ranked.provider, ranked.account, ranked.reference
    from ranked
    where ranked.occurrence > 1

),

named as (

    select
        psp_items.psp_item_id,
        psp_items.provider,
        psp_items.account,
        psp_items.currency,
        psp_items.net_minor,
        case when {{ is_compared_by_net('psp_items.event') }} then null else psp_items.fee_minor end as fee_minor,
        {% for kind in kinds -%}
        psp_items.{{ kind.column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_psp_items') }} as psp_items
    where {% for kind in kinds -%}
        psp_items.{{ kind.column }} in (select repeated.reference from repeated){{ ' or ' if not loop.last }}
        {%- endfor %}

),

-- How many equal items of the provider's one kind of id joins.
twins as (

    select counted.ledger_item_id, max(counted.items) as items
    from (
        select ranked.ledger_item_id, ids.kind_rank, count(*) as items
        from named
        cross join lateral (
            values
            {% for kind in kinds -%}
            ({{ loop.index }}::smallint, named.{{ kind.column }}){{ ',' if not loop.last }}
            {% endfor %}
        ) as ids (kind_rank, id)
        inner join ranked
            on ids.id = ranked.reference
            and named.provider = ranked.provider
            and named.account = ranked.account
            and named.currency = ranked.currency
            and named.net_minor = ranked.net_minor
            and coalesce(named.fee_minor, ranked.fee_minor) = ranked.fee_minor
        group by ranked.ledger_item_id, ids.kind_rank
    ) as counted
    group by counted.ledger_item_id

),

judged as (

    select
        ranked.*,
        ranked.occurrence <= greatest(coalesce(twins.items, 1), 1) as is_continued
    from ranked
    left join twins
        on ranked.ledger_item_id = twins.ledger_item_id

),

final as (

    select
        ranked.ledger_item_id,
        ranked.continues_as,
        not ranked.is_continued and not ranked.is_grouped as is_duplicate,
        -- What is left under the reference once groups and duplicates are gone.
        count(*) filter (where ranked.is_continued and not ranked.is_grouped) over (
            partition by ranked.provider, ranked.account, ranked.reference, ranked.currency, ranked.sign
        ) = 1 as is_reference_unique
    from judged as ranked

)

select * from final
