-- One row per pair of a bank line that takes another back and the line that it takes back: the bank says that it does (a reversal),
-- the amounts are opposite, and something that both carry says which one. Each reversal takes back the latest line before it that
-- nothing else took back, as brackets close; on its own day also one that the bank lists below it. What takes back an entry of
-- several details in one sum takes back each of them.
with lines as (

    select * from {{ ref('int_bank_lines_current') }}

),

texts as (

    select * from {{ ref('int_bank_line_texts') }}

),

reversed_amounts as (

    select distinct lines.account_iban, lines.currency, -lines.amount_minor as amount_minor
    from lines
    where lines.is_reversal and lines.amount_minor <> 0

),

-- Reversals, and every line that one could take back.
members as (

    select
        lines.bank_line_id,
        lines.is_reversal,
        lines.booked_on,
        lines.account_iban,
        lines.currency,
        abs(lines.amount_minor) as size_minor,
        case when lines.is_reversal then -sign(lines.amount_minor) else sign(lines.amount_minor) end as direction,
        concat_ws(' / ', lines.end_to_end_id, lines.structured_reference, lines.remittance, lines.counterparty_name) as named,
        row_number() over (
            order by lines.booked_on, lines.stated_on, lines.statement_no, lines.page, lines.bank_line_id
        ) as place
    from lines
    left join reversed_amounts
        on lines.account_iban = reversed_amounts.account_iban
        and lines.currency = reversed_amounts.currency
        and lines.amount_minor = reversed_amounts.amount_minor
    where lines.amount_minor <> 0
        and (lines.is_reversal or reversed_amounts.amount_minor is not null)

),

-- Where one line alone has the amount of a reversal, the amount says enough; and where all that have it name the same, for which of
-- them is taken back makes no difference then.
alone as (

    select members.account_iban, members.currency, members.size_minor, members.direction
    from members
    where not members.is_reversal
    group by members.account_iban, members.currency, members.size_minor, members.direction
    having count(*) = 1
        or (count(distinct members.named) = 1 and min(members.named) <> '')

),

-- By everything that a line carries, and by amount alone.
marked as (

    select members.*, texts.kind || ' ' || {{ bare('texts.value') }} as mark
    from members
    inner join texts
        on members.bank_line_id = texts.bank_line_id

    union

    select members.*, '' as mark
    from members
    inner join alone
        on members.account_iban = alone.account_iban
        and members.currency = alone.currency
        and members.size_minor = alone.size_minor
        and members.direction = alone.direction

),

{%- for order in ('forwards', 'backwards') %}

depths_{{ order }} as (

    select
        marked.*,
        sum(case when marked.is_reversal then -1 else 1 end) over (
            partition by
                marked.account_iban, marked.currency, marked.size_minor, marked.direction, marked.mark
                {%- if order == 'backwards' %}, marked.booked_on{% endif %}
            order by marked.place {% if order == 'backwards' %}desc{% endif %}
            rows unbounded preceding
        ) + case when marked.is_reversal then 1 else 0 end as depth
    from marked

),

closed_{{ order }} as (

    select
        depths.mark,
        depths.bank_line_id as reversed_id,
        depths.place as reversed_place,
        depths.booked_on as reversed_on,
        lead(depths.bank_line_id) over brackets as reversal_id,
        lead(depths.place) over brackets as reversal_place,
        lead(depths.booked_on) over brackets as reversal_on,
        lead(depths.is_reversal) over brackets as is_closed,
        depths.is_reversal
    from depths_{{ order }} as depths
    window brackets as (
        partition by
            depths.account_iban, depths.currency, depths.size_minor, depths.direction, depths.mark, depths.depth
            {%- if order == 'backwards' %}, depths.booked_on{% endif %}
        order by depths.place {% if order == 'backwards' %}desc{% endif %}
    )

),

{%- endfor %}

pairs as (

    {% for order in ('forwards', 'backwards') %}
    select
        closed.reversal_id,
        closed.reversed_id,
        {{ loop.index }} as pass,
        count(*) filter (where closed.mark <> '') as marks,
        min(abs(closed.reversal_place - closed.reversed_place)) as distance
    from closed_{{ order }} as closed
    where closed.is_closed
        and not closed.is_reversal
    group by closed.reversal_id, closed.reversed_id
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}

),

-- One line is taken back once, and what is said of both goes before amounts.
by_reversal as (

    select
        pairs.*,
        row_number() over (
            partition by pairs.reversal_id order by pairs.marks desc, pairs.pass, pairs.distance, pairs.reversed_id
        ) as choice
    from pairs

),

by_reversed as (

    select
        by_reversal.*,
        row_number() over (
            partition by by_reversal.reversed_id
            order by by_reversal.marks desc, by_reversal.pass, by_reversal.distance, by_reversal.reversal_id
        ) as claim
    from by_reversal
    where by_reversal.choice = 1

),

single as (

    select by_reversed.reversal_id, by_reversed.reversed_id
    from by_reversed
    where by_reversed.claim = 1

),

entries as (

    select
        lines.file_no,
        lines.statement_ordinal,
        lines.entry_ordinal,
        min(lines.account_iban) as account_iban,
        min(lines.currency) as currency,
        min(lines.booked_on) as booked_on,
        sum(lines.amount_minor) as amount_minor
    from lines
    left join single as of_reversals
        on lines.bank_line_id = of_reversals.reversal_id
    left join single as of_reversed
        on lines.bank_line_id = of_reversed.reversed_id
    where exists (
            select 1 from reversed_amounts
            where reversed_amounts.account_iban = lines.account_iban and reversed_amounts.currency = lines.currency
        )
    group by lines.file_no, lines.statement_ordinal, lines.entry_ordinal
    having count(*) > 1
        and not bool_or(lines.is_reversal)
        and count(of_reversals.reversal_id) + count(of_reversed.reversed_id) = 0

),

-- In one sum: unique on both sides, for the amount is all that joins them.
summed as (

    select
        lines.bank_line_id as reversal_id,
        entries.file_no,
        entries.statement_ordinal,
        entries.entry_ordinal,
        count(*) over (partition by lines.bank_line_id) as entry_count,
        count(*) over (partition by entries.file_no, entries.statement_ordinal, entries.entry_ordinal) as reversal_count
    from lines
    inner join entries
        on lines.account_iban = entries.account_iban
        and lines.currency = entries.currency
        and lines.amount_minor = -entries.amount_minor
        and lines.booked_on >= entries.booked_on
    where lines.is_reversal
        and not exists (select 1 from single where single.reversal_id = lines.bank_line_id)

),

final as (

    select single.reversal_id, single.reversed_id
    from single

    union all

    select summed.reversal_id, lines.bank_line_id as reversed_id
    from summed
    inner join lines
        on summed.file_no = lines.file_no
        and summed.statement_ordinal = lines.statement_ordinal
        and summed.entry_ordinal = lines.entry_ordinal
    where summed.entry_count = 1
        and summed.reversal_count = 1

)

select * from final
