-- One row per match of one payout and one bank line: stage 1 by reference and equal, stage 2 by reference and unequal, stage 4 by
-- amount and business-day window where payout or line carries no reference. Groups stand in `int_bank_groups`.
with final as (

    select pairs.payout_number, pairs.bank_line_id, pairs.reference, pairs.stage::smallint as stage, pairs.class
    from {{ ref('int_bank_pairs') }} as pairs

    union all

    select
        bank_window.payout_number,
        bank_window.bank_line_id,
        'amount and day' as reference,
        4::smallint as stage,
        null::text as class
    from {{ ref('int_bank_window') }} as bank_window
    where bank_window.is_mutual

)

select * from final
