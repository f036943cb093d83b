-- One row per page of a statement inside the pin: whether it counts, and if not which page replaced it and why. The newest whole
-- delivery replaces every page of the ones before it; a page that was sent again alone replaces its like. A copy counts once, and so
-- does what a statement of a week or a month repeats of the days' own statements.
{%- set most_days = 4 %}
with pages as (

    select * from {{ ref('int_bank_pages') }}

),

-- How far each delivery is whole: its pages from the first to the one that says it is the last.
reached as (

    select
        pages.statement_no,
        pages.delivery,
        min(pages.page) filter (where pages.is_last_page) as last_page
    from pages
    group by pages.statement_no, pages.delivery

),

whole as (

    select
        pages.statement_no,
        pages.delivery,
        reached.last_page,
        max(pages.made_at) as made_at,
        max(pages.sent_at) as sent_at
    from pages
    inner join reached
        on pages.statement_no = reached.statement_no
        and pages.delivery = reached.delivery
    where pages.page <= reached.last_page
    group by pages.statement_no, pages.delivery, reached.last_page
    having count(*) = reached.last_page and min(pages.page) = 1

),

newest_whole as (

    select distinct on (whole.statement_no) whole.*
    from whole
    order by whole.statement_no, whole.made_at desc, whole.sent_at desc, whole.delivery

),

-- Pages of the newest whole delivery, and what was sent of it again since.
standing as (

    select pages.*
    from pages
    left join newest_whole
        on pages.statement_no = newest_whole.statement_no
    where newest_whole.statement_no is null
        or (pages.delivery = newest_whole.delivery and pages.page <= newest_whole.last_page)
        or (
            pages.delivery > newest_whole.delivery
            and (pages.made_at, pages.sent_at) > (newest_whole.made_at, newest_whole.sent_at)
        )

),

newest_pages as (

    select distinct on (standing.statement_no, standing.page) standing.*
    from standing
    order by standing.statement_no, standing.page, standing.made_at desc, standing.sent_at desc, standing.version

),

current_pages as (

    select newest_pages.*
    from newest_pages
    where newest_pages.page <= coalesce(
        (
            select min(ends.page) from newest_pages as ends
            where ends.statement_no = newest_pages.statement_no and ends.is_last_page
        ),
        newest_pages.page
    )

),

-- A statement put together, to be held against others of its account and day.
assembled as (

    select
        current_pages.statement_no,
        current_pages.account_iban,
        current_pages.currency,
        min(current_pages.source) as source,
        max(current_pages.stated_on) as stated_on,
        (array_agg(current_pages.opening_minor order by current_pages.page))[1] as opening_minor,
        (array_agg(current_pages.closing_minor order by current_pages.page desc))[1] as closing_minor,
        string_agg(current_pages.movements, ' ' order by current_pages.page) as movements,
        min(current_pages.starts_on) as starts_on,
        sum(current_pages.movements_sum) as movements_sum,
        max(current_pages.electronic_sequence) as electronic_sequence,
        bool_or(current_pages.is_copy) as is_copy,
        max(current_pages.made_at) as made_at,
        min(current_pages.statement_id) as statement_id
    from current_pages
    group by current_pages.statement_no, current_pages.account_iban, current_pages.currency

),

ranked as (

    select
        assembled.*,
        row_number() over (
            order by
                assembled.is_copy,
                -- What does not say when it was made is the poorer of two formats.
                assembled.made_at = '-infinity',
                assembled.made_at,
                assembled.statement_id,
                assembled.statement_no
        ) as rank
    from assembled

),

-- The same account, day, balances and movements under another name; a copy that says it is one needs no equal movements, nor does
-- the same statement in another format: there a bank may put together what it states singly here.
copies as (

    select distinct on (ranked.statement_no)
        ranked.statement_no,
        originals.statement_no as copy_of
    from ranked
    inner join ranked as originals
        on ranked.account_iban = originals.account_iban
        and ranked.currency = originals.currency
        and ranked.stated_on = originals.stated_on
        and ranked.opening_minor = originals.opening_minor
        and ranked.closing_minor = originals.closing_minor
    where originals.rank < ranked.rank
        and (
            ranked.is_copy
            or (
                ranked.source <> originals.source
                and (ranked.opening_minor <> ranked.closing_minor or ranked.movements = originals.movements)
            )
            or (
                ranked.movements = originals.movements
                -- Two quiet statements of one day with numbers of their own are two.
                and (
                    ranked.opening_minor <> ranked.closing_minor
                    or coalesce(ranked.electronic_sequence = originals.electronic_sequence, true)
                )
            )
        )
    order by ranked.statement_no, originals.rank

),

-- A day's own statement may reach over a long weekend. Where they all are here the longer one says nothing of its own; where one is
-- missing, or says something else, both count, and their days overlap.
gathered as (

    select
        longer.statement_no,
        (array_agg(shorter.statement_no order by shorter.stated_on desc, shorter.rank))[1] as copy_of
    from ranked as longer
    inner join ranked as shorter
        on longer.account_iban = shorter.account_iban
        and longer.currency = shorter.currency
        and shorter.stated_on between longer.starts_on and longer.stated_on
        and shorter.stated_on - shorter.starts_on <= {{ most_days }}
    where longer.stated_on - longer.starts_on > {{ most_days }}
        and not exists (select 1 from copies where copies.statement_no = shorter.statement_no)
        and not exists (select 1 from copies where copies.statement_no = longer.statement_no)
    group by longer.statement_no, longer.movements_sum
    having sum(shorter.movements_sum) = longer.movements_sum
        and longer.movements_sum <> 0

),

repeated as (

    select copies.statement_no, copies.copy_of from copies
    union all
    select gathered.statement_no, gathered.copy_of from gathered

),

judged as (

    select
        pages.*,
        repeated.copy_of,
        current_pages.statement_no is not null and repeated.copy_of is null as is_current
    from pages
    left join current_pages
        on pages.file_no = current_pages.file_no
        and pages.statement_ordinal = current_pages.statement_ordinal
    left join repeated
        on pages.statement_no = repeated.statement_no

),

final as (

    select distinct on (judged.file_no, judged.statement_ordinal)
        judged.*,
        case
            when judged.is_current then null
            when judged.copy_of is not null then 'copy'
            else 'delivered_again'
        end as replaced_because,
        case when not judged.is_current then standing_pages.file_no end as replaced_by_file_no,
        case when not judged.is_current then standing_pages.statement_ordinal end as replaced_by_ordinal
    from judged
    -- The page that stands in its place, else the last one of those that do.
    left join current_pages as standing_pages
        on coalesce(judged.copy_of, judged.statement_no) = standing_pages.statement_no
        and not judged.is_current
    order by judged.file_no, judged.statement_ordinal, abs(standing_pages.page - judged.page), standing_pages.page

)

select
    final.source,
    final.file_no,
    final.statement_ordinal,
    final.bank_account,
    final.servicer,
    final.account_iban,
    final.currency,
    final.statement_no,
    final.statement_id,
    final.electronic_sequence,
    final.legal_sequence,
    final.made_at,
    final.sent_at,
    final.page,
    final.is_last_page,
    final.opening_minor,
    final.closing_minor,
    final.starts_on,
    final.opening_on,
    final.closing_on,
    final.stated_on,
    final.moved_minor,
    final.movements,
    final.is_current,
    -- Findings are of statements that end inside the cut; lines count by their own day.
    final.stated_on <= {{ pinned('as_of') }} as is_ended,
    final.replaced_because,
    final.replaced_by_file_no,
    final.replaced_by_ordinal
from final
