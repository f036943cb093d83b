-- One row per item of a group match (stage 3). Ledger items that name a payout as their reference, against the items that this
-- payout settles and that nobody booked one by one; the sums of net and of fee are equal on both sides. Before duplicates are
-- looked for: two summaries of a payout may be equal. The payout's own entry beside them stays for the waterfall.
with payout_ids as (

    select distinct bridge.provider, bridge.account, bridge.payout_id
    from {{ ref('int_payout_items') }} as bridge

),

-- Few items name a payout, so everything below is asked of these alone.
named as (

    select
        items.ledger_item_id,
        items.seq,
        items.provider,
        items.account,
        items.reference as payout_id,
        items.currency,
        items.net_minor,
        items.fee_minor
    from {{ ref('int_ledger_items') }} as items
    inner join payout_ids
        on items.provider = payout_ids.provider
        and items.account = payout_ids.account
        and items.reference = payout_ids.payout_id

),

own_items as (

    select items.provider, items.account, items.source_id as payout_id, items.currency, min(items.net_minor) as net_minor
    from {{ ref('int_psp_items') }} as items
    where items.event = 'payout'
        and items.source_id in (select named.payout_id from named)
    group by items.provider, items.account, items.source_id, items.currency
    having count(*) = 1

),

ranked as (

    select
        named.*,
        -- Equal ones after the first may be duplicates, if the sum says so.
        row_number() over (
            partition by named.provider, named.account, named.payout_id, named.currency, named.net_minor, named.fee_minor
            order by named.seq, named.ledger_item_id
        ) > 1 as is_repeated,
        coalesce(named.net_minor = own_items.net_minor, false)
        and row_number() over (
            partition by named.provider, named.account, named.payout_id, named.currency, named.net_minor
            order by named.seq, named.ledger_item_id
        ) = 1 as is_own
    from named
    left join own_items
        on named.provider = own_items.provider
        and named.account = own_items.account
        and named.payout_id = own_items.payout_id
        and named.currency = own_items.currency

),

-- Nothing but the payout's own entry is no summary.
summarised as (

    select ranked.provider, ranked.account, ranked.payout_id, ranked.currency
    from ranked
    group by ranked.provider, ranked.account, ranked.payout_id, ranked.currency
    having bool_or(not ranked.is_own)

),

settled as (

    select
        items.psp_item_id,
        items.provider,
        items.account,
        items.payout_id,
        items.currency,
        items.sign,
        items.net_minor,
        items.fee_minor,
        {{ row_fee_minor('items') }} as open_fee_minor,
        {% for kind in match_kinds() -%}
        items.{{ kind.column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_psp_items') }} as items
    inner join {{ ref('int_payout_items') }} as bridge
        on items.psp_item_id = bridge.psp_item_id
    inner join summarised
        on bridge.provider = summarised.provider
        and bridge.account = summarised.account
        and bridge.payout_id = summarised.payout_id
        and bridge.currency = summarised.currency

),

-- What an entry of its own names is no part of a summary.
booked_alone as (

    select distinct settled.psp_item_id
    from settled
    cross join lateral (
        values
        {% for kind in match_kinds() -%}
        (settled.{{ kind.column }}){{ ',' if not loop.last }}
        {% endfor %}
    ) as ids (id)
    inner join {{ ref('int_ledger_items') }} as ledger_items
        on ids.id = ledger_items.reference
        and settled.provider = ledger_items.provider
        and settled.account = ledger_items.account
        and settled.currency = ledger_items.currency
        and settled.sign = ledger_items.sign
    where not exists (select 1 from named where named.ledger_item_id = ledger_items.ledger_item_id)

),

psp_rest as (

    select settled.*
    from settled
    where not exists (select 1 from booked_alone where booked_alone.psp_item_id = settled.psp_item_id)

),

psp_sums as (

    select
        psp_rest.provider,
        psp_rest.account,
        psp_rest.payout_id,
        psp_rest.currency,
        sum(psp_rest.net_minor) as net_minor,
        sum(psp_rest.fee_minor) as fee_minor,
        -- Fees that the provider gives as rows: booked as fees, or not.
        sum(psp_rest.fee_minor + psp_rest.open_fee_minor) as most_fee_minor,
        -- What moved nothing, because its fee was all of it: part of the summary, or not.
        coalesce(sum(psp_rest.fee_minor) filter (where psp_rest.net_minor = 0), 0) as unmoved_fee_minor
    from psp_rest
    group by psp_rest.provider, psp_rest.account, psp_rest.payout_id, psp_rest.currency

),

-- Which of the entries make the sum: without the payout's own where there is one, and without repetitions only if need be.
variants as (

    select variants.* from (
        values
        (1, true, false),
        (2, true, true),
        (3, false, false),
        (4, false, true)
    ) as variants (place, is_without_own, is_without_repeated)

),

ledger_sums as (

    select
        ranked.provider,
        ranked.account,
        ranked.payout_id,
        ranked.currency,
        variants.place,
        variants.is_without_own,
        variants.is_without_repeated,
        sum(ranked.net_minor) as net_minor,
        sum(ranked.fee_minor) as fee_minor
    from ranked
    cross join variants
    where not (variants.is_without_own and ranked.is_own)
        and not (variants.is_without_repeated and ranked.is_repeated)
    group by
        ranked.provider,
        ranked.account,
        ranked.payout_id,
        ranked.currency,
        variants.place,
        variants.is_without_own,
        variants.is_without_repeated

),

agreed as (

    select distinct on (psp_sums.provider, psp_sums.account, psp_sums.payout_id, psp_sums.currency)
        psp_sums.provider,
        psp_sums.account,
        psp_sums.payout_id,
        psp_sums.currency,
        ledger_sums.is_without_own,
        ledger_sums.is_without_repeated
    from psp_sums
    inner join ledger_sums
        on psp_sums.provider = ledger_sums.provider
        and psp_sums.account = ledger_sums.account
        and psp_sums.payout_id = ledger_sums.payout_id
        and psp_sums.currency = ledger_sums.currency
        and psp_sums.net_minor = ledger_sums.net_minor
        and ledger_sums.fee_minor in (
            psp_sums.fee_minor,
            psp_sums.most_fee_minor,
            psp_sums.fee_minor - psp_sums.unmoved_fee_minor,
            psp_sums.most_fee_minor - psp_sums.unmoved_fee_minor
        )
    order by psp_sums.provider, psp_sums.account, psp_sums.payout_id, psp_sums.currency, ledger_sums.place

),

final as (

    select
        agreed.provider,
        agreed.account,
        agreed.payout_id,
        agreed.currency,
        ranked.ledger_item_id,
        null::bigint as psp_item_id
    from agreed
    inner join ranked
        on agreed.provider = ranked.provider
        and agreed.account = ranked.account
        and agreed.payout_id = ranked.payout_id
        and agreed.currency = ranked.currency
    where not (agreed.is_without_own and ranked.is_own)
        and not (agreed.is_without_repeated and ranked.is_repeated)

    union all

    select
        agreed.provider,
        agreed.account,
        agreed.payout_id,
        agreed.currency,
        null::bigint as ledger_item_id,
        psp_rest.psp_item_id
    from agreed
    inner join psp_rest
        on agreed.provider = psp_rest.provider
        and agreed.account = psp_rest.account
        and agreed.payout_id = psp_rest.payout_id
        and agreed.currency = psp_rest.currency

)

select * from final
