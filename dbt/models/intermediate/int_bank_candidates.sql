-- One row per payout and bank line that names it, in the line's references or narrative.
with lines as (

    select * from {{ ref('int_bank_lines') }}
    where not is_cancelled

),

payouts as (

    select * from {{ ref('int_psp_payouts') }}

),

payout_references as (

    select * from {{ ref('int_payout_references') }}

),

words as (

    select distinct lines.bank_line_id, word
    from lines
    inner join {{ ref('int_bank_line_texts') }} as texts
        on lines.bank_line_id = texts.bank_line_id
    cross join lateral regexp_split_to_table(lower(texts.value), '[^a-z0-9_]+') as word
    where length(word) >= 6

),

final as (

    select
        payouts.payout_number,
        lines.bank_line_id,
        min(payout_references.reference) as reference,
        payouts.currency = lines.currency as is_same_currency,
        payouts.sign = lines.sign as is_same_sign,
        payouts.net_minor = lines.amount_minor as is_same_amount
    from words
    inner join payout_references
        on words.word = payout_references.reference
    inner join payouts
        on payout_references.payout_number = payouts.payout_number
    inner join lines
        on words.bank_line_id = lines.bank_line_id
        and payouts.provider = lines.provider
    group by
        payouts.payout_number,
        lines.bank_line_id,
        payouts.currency,
        lines.currency,
        payouts.sign,
        lines.sign,
        payouts.net_minor,
        lines.amount_minor

)

select * from final
