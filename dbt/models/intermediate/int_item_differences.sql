-- One row per difference of leg A: a PSP item, a ledger item, a pair of them, or an ambiguous group.
with repeated as (

    select * from {{ ref('int_match_duplicates') }}

),

unequal as (

    select
        matched_unequal.ledger_item_id,
        matched_unequal.psp_item_id,
        matched_unequal.class,
        'reference_unequal' as rule
    from {{ ref('int_match_unequal') }} as matched_unequal

),

ambiguous as (

    select * from {{ ref('int_match_ambiguous') }}

),

psp_differing as (

    select * from {{ ref('int_psp_differing') }}

),

psp_keys as (

    select
        keys.psp_item_id,
        jsonb_agg(jsonb_build_array(keys.kind, keys.key, keys.currency) order by keys.kind_rank) as identity_keys
    from {{ ref('int_psp_difference_keys') }} as keys
    where keys.is_unique
        and keys.key is not null
    group by keys.psp_item_id

),

duplicates as (

    select
        repeated.ledger_item_id,
        null::bigint as psp_item_id,
        'duplicate_ledger' as class,
        'duplicate_reference' as rule
    from repeated
    where repeated.is_duplicate

),

ledger_rest as (

    select
        unmatched.ledger_item_id,
        null::bigint as psp_item_id,
        case when ambiguous.ledger_item_id is null then 'missing_at_psp' else 'ambiguous' end as class,
        case when ambiguous.ledger_item_id is null then 'reference_equal' else 'amount_window' end as rule
    from {{ ref('int_ledger_unmatched') }} as unmatched
    left join ambiguous
        on unmatched.ledger_item_id = ambiguous.ledger_item_id
    where coalesce(ambiguous.id_kind, 'amount_window') = 'amount_window'
        -- What moved nothing is missing nowhere.
        and unmatched.net_minor <> 0

),

psp_rest as (

    select
        null::bigint as ledger_item_id,
        unmatched.psp_item_id,
        'missing_in_ledger' as class,
        'reference_equal' as rule
    from {{ ref('int_psp_unmatched') }} as unmatched
    where not exists (select 1 from ambiguous where ambiguous.psp_item_id = unmatched.psp_item_id)
        and (unmatched.net_minor <> 0 or unmatched.event is null)

),

-- Matched and still a break: what the provider calls it means nothing to us. A group's member stands without its group.
unclassified as (

    select
        matched.ledger_item_id,
        psp_differing.psp_item_id,
        'unclassified_type' as class,
        'reference_equal' as rule
    from psp_differing
    inner join {{ ref('int_matched_items') }} as matched
        on psp_differing.psp_item_id = matched.psp_item_id
    where psp_differing.event is null
        and matched.class is null

),

pairs as (

    select * from duplicates
    union all
    select * from unequal
    union all
    select * from ledger_rest
    union all
    select * from psp_rest
    union all
    select * from unclassified

),

-- Only the ledger items that a difference concerns are joined below.
ledger_items as (

    select items.*
    from {{ ref('int_ledger_items') }} as items
    where items.ledger_item_id in (select pairs.ledger_item_id from pairs)
        or items.ledger_item_id in (select ambiguous.ledger_item_id from ambiguous)

),

single as (

    select
        case
            when psp.psp_item_id is not null then 'psp:' || psp.psp_transaction_id
            else 'ledger:' || ledger.external_id || ':' || ledger.ledger_account
        end as anchor,
        ledger.ledger_item_id,
        coalesce(psp.provider, ledger.provider) as provider,
        coalesce(psp.account, ledger.account) as account,
        case when psp.psp_item_id is not null and psp.event is null then 'unclassified_type' else pairs.class end as class,
        pairs.rule,
        coalesce(psp.psp_transaction_id, ledger.reference) as key,
        coalesce(psp.sign, ledger.sign) as sign,
        coalesce(psp.currency, ledger.currency) as currency,
        ledger.currency as ledger_currency,
        case
            when pairs.class = 'fee_mismatch' then ledger.fee_minor - psp.fee_minor
            when pairs.class = 'currency_mismatch' then -psp.net_minor
            when pairs.class = 'unclassified_type' then 0
            else coalesce(ledger.net_minor, 0) - coalesce(psp.net_minor, 0)
        end as amount_minor,
        ledger.net_minor as ledger_amount_minor,
        case when pairs.class = 'unclassified_type' and ledger.ledger_item_id is null then null else psp.net_minor end
            as psp_amount_minor,
        case
            when pairs.class = 'missing_in_ledger' then psp.booked_on
            when pairs.class = 'missing_at_psp' then ledger.effective_on
        end as base_on,
        greatest(psp.booked_on, ledger.effective_on) as later_on,
        coalesce(psp_keys.identity_keys, '[]')
        || case
            -- Both currencies find the break again, whichever side is corrected.
            when pairs.class = 'currency_mismatch' then coalesce(psp_keys.identity_keys, '[]')
                || jsonb_build_array(jsonb_build_array('balance_transaction', psp.psp_transaction_id, ledger.currency))
                || jsonb_build_array(jsonb_build_array('reference', ledger.reference, psp.currency))
            else '[]'
        end
        || case
            when ledger.ledger_item_id is not null and not coalesce(repeated.is_duplicate, false)
                and coalesce(repeated.is_reference_unique, true)
                then jsonb_build_array(jsonb_build_array('reference', ledger.reference, ledger.currency))
            else '[]'
        end
        || case
            when ledger.ledger_item_id is not null
                then jsonb_build_array(jsonb_build_array('entry', ledger.external_id, ledger.currency))
            else '[]'
        end as identity_keys,
        case when ledger.ledger_item_id is null then '[]' else jsonb_build_array({{ ledger_evidence('ledger') }}) end
        || case when psp.psp_item_id is null then '[]' else jsonb_build_array({{ psp_evidence('psp') }}) end as evidence
    from pairs
    left join ledger_items as ledger
        on pairs.ledger_item_id = ledger.ledger_item_id
    left join psp_differing as psp
        on pairs.psp_item_id = psp.psp_item_id
    left join psp_keys
        on psp.psp_item_id = psp_keys.psp_item_id
    left join repeated
        on ledger.ledger_item_id = repeated.ledger_item_id

),

members as (

    select
        ambiguous.id_kind,
        ambiguous.provider,
        ambiguous.account,
        ambiguous.reference,
        ambiguous.currency,
        ambiguous.sign,
        psp.psp_transaction_id,
        ledger.net_minor as ledger_net_minor,
        psp.net_minor as psp_net_minor,
        greatest(psp.booked_on, ledger.effective_on) as later_on,
        case
            when psp.psp_item_id is not null
                then jsonb_build_array('balance_transaction', psp.psp_transaction_id, psp.currency)
            else jsonb_build_array('entry', ledger.external_id, ledger.currency)
        end as identity_key,
        case
            when psp.psp_item_id is not null then {{ psp_evidence('psp') }}
            else {{ ledger_evidence('ledger') }}
        end as evidence
    from ambiguous
    left join ledger_items as ledger
        on ambiguous.ledger_item_id = ledger.ledger_item_id
    left join psp_differing as psp
        on ambiguous.psp_item_id = psp.psp_item_id
    where ambiguous.id_kind <> 'amount_window'

),

grouped as (

    select
        'ambiguous:' || members.id_kind || ':' || members.reference || ':' || members.currency || ':' || members.sign as anchor,
        null::bigint as ledger_item_id,
        members.provider,
        members.account,
        'ambiguous' as class,
        'reference_equal' as rule,
        min(members.psp_transaction_id) as key,
        members.sign,
        members.currency,
        members.currency as ledger_currency,
        coalesce(sum(members.ledger_net_minor), 0) - coalesce(sum(members.psp_net_minor), 0) as amount_minor,
        sum(members.ledger_net_minor) as ledger_amount_minor,
        sum(members.psp_net_minor) as psp_amount_minor,
        null::date as base_on,
        max(members.later_on) as later_on,
        jsonb_agg(members.identity_key order by members.identity_key) as identity_keys,
        jsonb_agg(members.evidence order by members.evidence) as evidence
    from members
    group by
        members.id_kind,
        members.provider,
        members.account,
        members.reference,
        members.currency,
        members.sign

),

final as (

    select * from single
    union all
    select * from grouped

)

select * from final
