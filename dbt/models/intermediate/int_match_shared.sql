-- One row per item of a group match (stage 3) under one reference: several entries of one item (its fee booked by itself, a part
-- added later), or several items of one entry: the sums are equal, and one of the two sides is one item. Or as many entries as
-- items, each with its like (two refunds of one charge, an order's number used again): which is whose, nothing depends on.
-- Or one entry of what is left of an item when others took of it back (a charge and its partial capture): last of all.
{%- set kinds = match_kinds() %}
with left_over as (

    select
        edges.ledger_item_id,
        edges.psp_item_id,
        edges.kind_rank,
        items.provider,
        items.account,
        items.reference,
        items.currency
    from {{ ref('int_match_left') }} as edges
    inner join {{ ref('int_ledger_items') }} as items
        on edges.ledger_item_id = items.ledger_item_id
    where edges.is_same_currency

),

shared_references as (

    select distinct left_over.provider, left_over.account, left_over.reference, left_over.currency
    from left_over

),

-- All entries under the reference, whichever way they move money: a fee moves it the other way.
ledger_members as (

    select
        items.ledger_item_id,
        items.provider,
        items.account,
        items.reference,
        items.currency,
        items.net_minor,
        items.fee_minor
    from {{ ref('int_ledger_items') }} as items
    inner join shared_references
        on items.provider = shared_references.provider
        and items.account = shared_references.account
        and items.reference = shared_references.reference
        and items.currency = shared_references.currency
    where not exists (
            select 1 from {{ ref('int_match_equal') }} as matched_equal where matched_equal.ledger_item_id = items.ledger_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_groups') }} as matched_groups where matched_groups.ledger_item_id = items.ledger_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_duplicates') }} as repeated
            where repeated.is_duplicate and repeated.ledger_item_id = items.ledger_item_id
        )

),

ledger_sums as (

    select
        members.provider,
        members.account,
        members.reference,
        members.currency,
        count(*) as items,
        sum(members.net_minor) as net_minor,
        sum(members.fee_minor) as fee_minor,
        array_agg(members.net_minor order by members.net_minor) as nets
    from ledger_members as members
    group by members.provider, members.account, members.reference, members.currency

),

own_members as (

    select distinct
        left_over.kind_rank,
        left_over.provider,
        left_over.account,
        left_over.reference,
        left_over.currency,
        psp_items.psp_item_id,
        {{ kin_id('psp_items') }} as family_id,
        {{ kin_family('psp_items.event') }} as family,
        psp_items.payout_id,
        psp_items.net_minor,
        psp_items.fee_minor,
        {{ row_fee_minor('psp_items') }} as row_fee_minor,
        {{ is_compared_by_net('psp_items.event') }} as is_by_net
    from left_over
    inner join {{ ref('int_psp_items') }} as psp_items
        on left_over.psp_item_id = psp_items.psp_item_id

),

-- Of a charge, a refund, a dispute: what took of it back. Few, so everything below is asked of these alone.
taken_back as materialized (

    select distinct
        items.provider,
        items.account,
        items.currency,
        {{ kin_family('items.event') }} as family,
        {{ kin_id('items') }} as family_id
    from {{ ref('int_psp_items') }} as items
    where {{ is_taken_back('items.event') }}

),

-- The references one of whose items belongs to such a family.
netted as materialized (

    select distinct
        members.kind_rank,
        members.provider,
        members.account,
        members.reference,
        members.currency,
        members.family,
        members.family_id
    from own_members as members
    inner join taken_back
        on members.provider = taken_back.provider
        and members.account = taken_back.account
        and members.currency = taken_back.currency
        and members.family = taken_back.family
        and members.family_id = taken_back.family_id

),

-- All of the family that nobody booked by itself, whichever way it moves money.
kin as (

    select
        netted.kind_rank,
        netted.provider,
        netted.account,
        netted.reference,
        netted.currency,
        items.psp_item_id,
        items.payout_id,
        items.net_minor,
        items.fee_minor
    from netted
    inner join {{ ref('int_psp_items') }} as items
        on netted.provider = items.provider
        and netted.account = items.account
        and netted.currency = items.currency
        and netted.family = {{ kin_family('items.event') }}
        and netted.family_id = {{ kin_id('items') }}
    where not exists (
            select 1 from {{ ref('int_match_equal') }} as matched_equal where matched_equal.psp_item_id = items.psp_item_id
        )
        and not exists (
            select 1 from {{ ref('int_match_groups') }} as matched_groups where matched_groups.psp_item_id = items.psp_item_id
        )

),

psp_members as (

    select
        members.kind_rank,
        members.provider,
        members.account,
        members.reference,
        members.currency,
        members.psp_item_id,
        members.payout_id,
        members.net_minor,
        members.fee_minor,
        members.row_fee_minor,
        members.is_by_net
    from own_members as members

    union all

    -- Ranked behind every kind of id: what the entry names by itself is the better answer.
    select
        (kin.kind_rank + {{ kinds | length }})::smallint as kind_rank,
        kin.provider,
        kin.account,
        kin.reference,
        kin.currency,
        kin.psp_item_id,
        kin.payout_id,
        kin.net_minor,
        kin.fee_minor,
        0 as row_fee_minor,
        false as is_by_net
    from kin

),

psp_sums as (

    select
        members.kind_rank,
        members.provider,
        members.account,
        members.reference,
        members.currency,
        count(*) as items,
        sum(members.net_minor) as net_minor,
        sum(members.fee_minor) as fee_minor,
        sum(members.row_fee_minor) as row_fee_minor,
        array_agg(members.net_minor order by members.net_minor) as nets,
        bool_and(members.is_by_net) as is_by_net,
        -- The payout that settles them, if it is one.
        case when count(distinct members.payout_id) = 1 then min(members.payout_id) end as payout_id
    from psp_members as members
    group by members.kind_rank, members.provider, members.account, members.reference, members.currency

),

agreed as (

    select distinct on (psp_sums.provider, psp_sums.account, psp_sums.reference, psp_sums.currency)
        psp_sums.kind_rank,
        psp_sums.provider,
        psp_sums.account,
        psp_sums.reference,
        psp_sums.currency,
        psp_sums.payout_id
    from psp_sums
    inner join ledger_sums
        on psp_sums.provider = ledger_sums.provider
        and psp_sums.account = ledger_sums.account
        and psp_sums.reference = ledger_sums.reference
        and psp_sums.currency = ledger_sums.currency
        and psp_sums.net_minor = ledger_sums.net_minor
        and (ledger_sums.fee_minor in (psp_sums.fee_minor, psp_sums.fee_minor + psp_sums.row_fee_minor) or psp_sums.is_by_net)
    where greatest(psp_sums.items, ledger_sums.items) > 1
        and (least(psp_sums.items, ledger_sums.items) = 1 or psp_sums.nets = ledger_sums.nets)
    order by psp_sums.provider, psp_sums.account, psp_sums.reference, psp_sums.currency, psp_sums.kind_rank

),

claimed as (

    select
        members.psp_item_id,
        agreed.kind_rank,
        agreed.provider,
        agreed.account,
        agreed.reference,
        agreed.currency,
        agreed.payout_id,
        row_number() over (partition by members.psp_item_id order by agreed.kind_rank, agreed.reference) as place
    from agreed
    inner join psp_members as members
        on agreed.kind_rank = members.kind_rank
        and agreed.provider = members.provider
        and agreed.account = members.account
        and agreed.reference = members.reference
        and agreed.currency = members.currency

),

-- A group that another took an item from is none.
whole as (

    select claimed.provider, claimed.account, claimed.reference, claimed.currency, min(claimed.payout_id) as payout_id, min(claimed.kind_rank) as kind_rank
    from claimed
    group by claimed.provider, claimed.account, claimed.reference, claimed.currency
    having bool_and(claimed.place = 1)

),

final as (

    select
        whole.provider,
        whole.account,
        whole.reference,
        whole.currency,
        whole.payout_id,
        members.ledger_item_id,
        null::bigint as psp_item_id
    from whole
    inner join ledger_members as members
        on whole.provider = members.provider
        and whole.account = members.account
        and whole.reference = members.reference
        and whole.currency = members.currency

    union all

    select
        whole.provider,
        whole.account,
        whole.reference,
        whole.currency,
        whole.payout_id,
        null::bigint as ledger_item_id,
        claimed.psp_item_id
    from whole
    inner join claimed
        on whole.provider = claimed.provider
        and whole.account = claimed.account
        and whole.reference = claimed.reference
        and whole.currency = claimed.currency
        and whole.kind_rank = claimed.kind_rank

)

select * from final
