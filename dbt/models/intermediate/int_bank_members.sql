-- One row per payout that counts on leg B and per bank line, with the account at the provider under which it counts. A line
-- belongs to the account of the payout it meets, names or brings back; a group to one account; the rest to the only account, else
-- the setting's. Bridge and breaks read this, so what matched is under one account on both sides.
with transfers as (

    select * from {{ ref('int_transfers') }}

),

lines as (

    select * from {{ ref('int_bank_lines') }}
    where not is_cancelled

),

unmatched as (

    select * from {{ ref('int_bank_unmatched') }}

),

grouped as (

    select bank_groups.group_number, bank_groups.payout_number, bank_groups.bank_line_id, 3 as stage
    from {{ ref('int_bank_groups') }} as bank_groups

    union all

    select unmatched.group_number, unmatched.payout_number, unmatched.bank_line_id, 0 as stage
    from unmatched
    where unmatched.group_number is not null

),

group_accounts as (

    select grouped.stage, grouped.group_number, min(transfers.account) as account
    from grouped
    inner join transfers
        on grouped.payout_number = transfers.payout_number
    group by grouped.stage, grouped.group_number

),

in_groups as (

    select grouped.payout_number, grouped.bank_line_id, group_accounts.account
    from grouped
    inner join group_accounts
        on grouped.stage = group_accounts.stage
        and grouped.group_number = group_accounts.group_number

),

-- Payouts that a line names without being matched with them.
mentioned as (

    select candidates.bank_line_id, min(transfers.account) as account
    from {{ ref('int_bank_candidates') }} as candidates
    inner join transfers
        on candidates.payout_number = transfers.payout_number
    group by candidates.bank_line_id

),

final as (

    select
        transfers.payout_number,
        null::bigint as bank_line_id,
        transfers.provider,
        coalesce(in_groups.account, transfers.account) as account,
        transfers.currency,
        {{ counted_minor('transfers') }} as amount_minor
    from transfers
    left join in_groups
        on transfers.payout_number = in_groups.payout_number
    where transfers.is_expected
        or in_groups.payout_number is not null
        or exists (select 1 from {{ ref('int_bank_matches') }} as matches where matches.payout_number = transfers.payout_number)

    union all

    select
        null::bigint as payout_number,
        lines.bank_line_id,
        lines.provider,
        coalesce(
            in_groups.account,
            matched_payouts.account,
            mentioned.account,
            lines.account,
            {{ pinned('provider_account') }}
        ) as account,
        lines.currency,
        lines.amount_minor
    from lines
    left join in_groups
        on lines.bank_line_id = in_groups.bank_line_id
    left join {{ ref('int_bank_matches') }} as matches
        on lines.bank_line_id = matches.bank_line_id
    left join transfers as matched_payouts
        on matches.payout_number = matched_payouts.payout_number
    left join mentioned
        on lines.bank_line_id = mentioned.bank_line_id

)

select * from final
