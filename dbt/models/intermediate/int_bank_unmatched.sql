-- One row per payout or bank line of leg B that nothing matched, with what it is: ambiguous together with others that name it
-- (`group_number`), ambiguous alone by amount and day, missing, unexpected, or a payout that came back. What came and went back of
-- payouts that failed is one, and the bank's charge for it what is left.
with recursive
transfers as (

    select * from {{ ref('int_transfers') }}

),

lines as (

    select * from {{ ref('int_bank_lines') }}
    where not is_cancelled

),

matched as (

    select matches.payout_number, matches.bank_line_id from {{ ref('int_bank_matches') }} as matches
    union all
    select bank_groups.payout_number, bank_groups.bank_line_id from {{ ref('int_bank_groups') }} as bank_groups

),

fitting as (

    select * from {{ ref('int_bank_window') }}
    where not is_mutual

),

named as (

    select
        candidates.payout_number,
        candidates.bank_line_id,
        candidates.is_same_sign,
        bool_or(candidates.is_same_sign) over payouts and bool_or(not candidates.is_same_sign) over payouts as is_both_ways
    from {{ ref('int_bank_candidates') }} as candidates
    where candidates.is_same_currency
        and not exists (select 1 from matched where matched.bank_line_id = candidates.bank_line_id)
    window payouts as (partition by candidates.payout_number)

),

rest_pairs as (

    select named.payout_number, named.bank_line_id
    from named
    inner join transfers
        on named.payout_number = transfers.payout_number
    where case when transfers.is_expected or transfers.kind = 'topup' then named.is_same_sign else named.is_both_ways end
        and not exists (select 1 from matched where matched.payout_number = named.payout_number)

),
{{ components('rest', 'rest_pairs') }},

rest_classes as (

    select
        rest.group_number,
        case when bool_or(transfers.is_expected or transfers.kind = 'topup') then 'ambiguous' else 'payout_returned' end as class
    from rest
    inner join transfers
        on rest.payout_number = transfers.payout_number
    group by rest.group_number

),

rest_lines as (

    select rest_pairs.bank_line_id, min(rest.group_number) as group_number
    from rest_pairs
    inner join rest
        on rest_pairs.payout_number = rest.payout_number
    group by rest_pairs.bank_line_id

),

-- Whose return a line may be: any payout it names that moved the other way.
returned as (

    select candidates.bank_line_id, min(candidates.payout_number) as payout_number
    from {{ ref('int_bank_candidates') }} as candidates
    where not candidates.is_same_sign
    group by candidates.bank_line_id

),

final as (

    select
        transfers.payout_number,
        null::bigint as bank_line_id,
        rest.group_number,
        case
            when rest.payout_number is not null then rest_classes.class
            when fitting.payout_number is not null then 'ambiguous'
            else 'payout_missing_at_bank'
        end as class,
        case when rest.payout_number is null and fitting.payout_number is not null then 'payout_amount_window' else 'payout_reference' end as rule,
        null::bigint as returned_number
    from transfers
    left join rest
        on transfers.payout_number = rest.payout_number
    left join rest_classes
        on rest.group_number = rest_classes.group_number
    left join fitting
        on transfers.payout_number = fitting.payout_number
    where (transfers.is_expected or rest.payout_number is not null)
        and not exists (select 1 from matched where matched.payout_number = transfers.payout_number)

    union all

    select
        null::bigint as payout_number,
        lines.bank_line_id,
        rest_lines.group_number,
        case
            when rest_lines.bank_line_id is not null then rest_classes.class
            when fitting.bank_line_id is not null then 'ambiguous'
            when returned.bank_line_id is not null then 'payout_returned'
            when lines.amount_minor > 0 then 'unexpected_bank_credit'
            else 'unexpected_bank_debit'
        end as class,
        case
            when rest_lines.bank_line_id is null and fitting.bank_line_id is not null then 'payout_amount_window'
            else 'payout_reference'
        end as rule,
        returned.payout_number as returned_number
    from lines
    left join rest_lines
        on lines.bank_line_id = rest_lines.bank_line_id
    left join rest_classes
        on rest_lines.group_number = rest_classes.group_number
    left join fitting
        on lines.bank_line_id = fitting.bank_line_id
    left join returned
        on lines.bank_line_id = returned.bank_line_id
    where not exists (select 1 from matched where matched.bank_line_id = lines.bank_line_id)

)

select * from final
