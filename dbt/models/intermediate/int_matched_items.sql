{{ config(materialized='view', unlogged=none) }}
-- One row per match of leg A, or per item of a group: what each stage consumed.
with final as (

    select
        stage_1.ledger_item_id,
        stage_1.psp_item_id,
        1::smallint as stage,
        stage_1.id_kind,
        null::text as class,
        null::text as payout_id
    from {{ ref('int_match_stage_1') }} as stage_1

    union all

    select
        stage_2.ledger_item_id,
        stage_2.psp_item_id,
        2::smallint as stage,
        stage_2.id_kind,
        stage_2.class,
        null::text as payout_id
    from {{ ref('int_match_stage_2') }} as stage_2

    union all

    select
        stage_3.ledger_item_id,
        stage_3.psp_item_id,
        3::smallint as stage,
        'payout' as id_kind,
        null::text as class,
        stage_3.payout_id
    from {{ ref('int_match_stage_3') }} as stage_3

    union all

    select
        stage_4.ledger_item_id,
        stage_4.psp_item_id,
        4::smallint as stage,
        'amount_window' as id_kind,
        null::text as class,
        null::text as payout_id
    from {{ ref('int_match_stage_4') }} as stage_4

)

select * from final
