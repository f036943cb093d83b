{{ config(materialized='view', unlogged=none) }}
-- One row per match of leg A, or per item of a group: what each stage consumed.
with final as (

    select
        matched_equal.ledger_item_id,
        matched_equal.psp_item_id,
        1::smallint as stage,
        matched_equal.id_kind,
        null::text as class,
        null::text as payout_id,
        'reference_equal' as rule,
        null::text as group_key
    from {{ ref('int_match_equal') }} as matched_equal

    union all

    select
        matched_unequal.ledger_item_id,
        matched_unequal.psp_item_id,
        2::smallint as stage,
        matched_unequal.id_kind,
        matched_unequal.class,
        null::text as payout_id,
        'reference_unequal' as rule,
        null::text as group_key
    from {{ ref('int_match_unequal') }} as matched_unequal

    union all

    select
        matched_groups.ledger_item_id,
        matched_groups.psp_item_id,
        3::smallint as stage,
        'payout' as id_kind,
        null::text as class,
        matched_groups.payout_id,
        'payout_group' as rule,
        matched_groups.payout_id as group_key
    from {{ ref('int_match_groups') }} as matched_groups

    union all

    select
        shared.ledger_item_id,
        shared.psp_item_id,
        3::smallint as stage,
        'reference' as id_kind,
        null::text as class,
        shared.payout_id,
        'reference_group' as rule,
        shared.reference as group_key
    from {{ ref('int_match_shared') }} as shared

    union all

    select
        matched_window.ledger_item_id,
        matched_window.psp_item_id,
        4::smallint as stage,
        'amount_window' as id_kind,
        null::text as class,
        null::text as payout_id,
        'amount_window' as rule,
        null::text as group_key
    from {{ ref('int_match_window') }} as matched_window

)

select * from final
