-- One row per payout and bank line that names it: the payout's reference, folded, is one word or several neighbouring words of a
-- text of the line. Half an id names nothing.
with lines as (

    select * from {{ ref('int_bank_lines') }}
    where not is_cancelled

),

transfers as (

    select * from {{ ref('int_transfers') }}

),

payout_references as (

    select * from {{ ref('int_payout_references') }}

),

texts as (

    select
        texts.bank_line_id,
        texts.value,
        {{ folded('texts.value') }} as folded,
        row_number() over () as text_number
    from {{ ref('int_bank_line_texts') }} as texts
    inner join lines
        on texts.bank_line_id = lines.bank_line_id
    where texts.kind <> 'party'

),

words as (

    select
        texts.text_number,
        length(pieces.word) as word_length,
        sum(length(pieces.word)) over (partition by texts.text_number order by pieces.place) as ends_at
    from texts
    cross join lateral {{ folded_words('texts.value') }}
    where pieces.word <> ''
        and length(texts.folded) >= {{ least_reference_length() }}

),

-- What neighbouring words make together is looked up where it is as long as some reference is, and nowhere else.
lengths as (

    select distinct length(payout_references.reference) as reference_length
    from payout_references

),

spans as (

    select first_words.text_number, first_words.ends_at - first_words.word_length as begins_after, lengths.reference_length
    from words as first_words
    cross join lengths

),

spelled as (

    select distinct
        texts.bank_line_id,
        substr(texts.folded, spans.begins_after::integer + 1, spans.reference_length) as spelling
    from spans
    inner join words as last_words
        on spans.text_number = last_words.text_number
        and spans.begins_after + spans.reference_length = last_words.ends_at
    inner join texts
        on spans.text_number = texts.text_number

),

named as (

    select
        spelled.bank_line_id,
        payout_references.payout_number,
        payout_references.reference,
        payout_references.is_unique,
        bool_or(payout_references.is_unique) over (partition by spelled.bank_line_id) as is_named_uniquely
    from spelled
    inner join payout_references
        on spelled.spelling = payout_references.reference
    inner join lines
        on spelled.bank_line_id = lines.bank_line_id
        and payout_references.provider = lines.provider

),

-- What names one payout alone is better evidence than what several share.
best as (

    select named.bank_line_id, named.payout_number, named.reference
    from named
    where named.is_unique or not named.is_named_uniquely

),

final as (

    select
        transfers.payout_number,
        lines.bank_line_id,
        min(best.reference) as reference,
        transfers.currency = lines.currency as is_same_currency,
        transfers.sign = lines.sign as is_same_sign,
        transfers.bank_minor = lines.amount_minor as is_same_amount
    from best
    inner join transfers
        on best.payout_number = transfers.payout_number
    inner join lines
        on best.bank_line_id = lines.bank_line_id
    group by
        transfers.payout_number,
        lines.bank_line_id,
        transfers.currency,
        lines.currency,
        transfers.sign,
        lines.sign,
        transfers.bank_minor,
        lines.amount_minor

)

select * from final
