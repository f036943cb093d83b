-- One row per statement whose number does not continue the numbers before it. A bank counts its statements an account, or over all
-- accounts of a customer: a number counts as continued when either says so. One whose numbers never continue counts something else.
with pages as (

    select * from {{ ref('int_bank_statements') }}

),

statements as (

    select
        pages.source,
        pages.bank_account,
        -- Where no statement names its bank, what landed together is one bank's.
        pages.source || ' ' || pages.servicer || case pages.servicer when '' then ' ' || pages.bank_account else '' end as bank,
        pages.account_iban,
        pages.currency,
        pages.statement_no,
        max(pages.stated_on) as stated_on,
        max(pages.made_at) as made_at,
        min(pages.electronic_sequence) as electronic_sequence,
        min(pages.legal_sequence) as legal_sequence
    from pages
    group by pages.source, pages.bank_account, pages.servicer, pages.account_iban, pages.currency, pages.statement_no

),

numbered as (

    {% for kind in ('electronic', 'legal') %}
    select
        '{{ kind }}' as kind,
        statements.source,
        statements.bank_account,
        statements.bank,
        statements.account_iban,
        statements.currency,
        statements.statement_no,
        statements.stated_on,
        statements.made_at,
        statements.{{ kind }}_sequence as number
    from statements
    where statements.{{ kind }}_sequence is not null
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}

),

-- Whether each number follows: the next one, the same one again (it counts nothing), or the first of a new count: a year's.
{% set follows -%}
    steps.number in (steps.before, steps.before + 1)
    or (steps.number < steps.before and steps.number = 1)
    or (
        extract(year from steps.stated_on) > extract(year from steps.before_on)
        and steps.number::text ~ ('^(' || to_char(steps.stated_on, 'YYYY') || '|' || to_char(steps.stated_on, 'YY') || ')0*1$')
    )
{%- endset %}

account_steps as (

    -- Each format has a count of its own: nothing follows from one to another.
    select steps.*, coalesce({{ follows }} or steps.source <> steps.before_source, true) as follows
    from (
        select
            numbered.*,
            lag(numbered.number) over earlier as before,
            lag(numbered.source) over earlier as before_source,
            lag(numbered.stated_on) over earlier as before_on
        from numbered
        window earlier as (
            partition by numbered.kind, numbered.account_iban, numbered.currency
            order by numbered.stated_on, numbered.made_at, numbered.number, numbered.statement_no
        )
    ) as steps

),

-- The same over all accounts of a bank, as a running count of what does not follow.
bank_steps as (

    select
        steps.kind,
        steps.bank,
        steps.stated_on,
        steps.number,
        count(*) filter (where not coalesce({{ follows }}, true)) over (
            partition by steps.kind, steps.bank order by steps.stated_on, steps.number rows unbounded preceding
        ) as holes
    from (
        select
            distinct_numbers.*,
            lag(distinct_numbers.number) over earlier as before,
            lag(distinct_numbers.stated_on) over earlier as before_on
        from (
            select distinct numbered.kind, numbered.bank, numbered.stated_on, numbered.number from numbered
        ) as distinct_numbers
        window earlier as (
            partition by distinct_numbers.kind, distinct_numbers.bank
            order by distinct_numbers.stated_on, distinct_numbers.number
        )
    ) as steps

),

accounted as (

    select
        account_steps.*,
        bank_steps.holes = lag(bank_steps.holes) over earlier as follows_at_bank,
        count(*) filter (where account_steps.before is not null) over of_account as steps,
        count(*) filter (where account_steps.before is not null and account_steps.follows) over of_account as steps_that_follow
    from account_steps
    inner join bank_steps
        on account_steps.kind = bank_steps.kind
        and account_steps.bank = bank_steps.bank
        and account_steps.stated_on = bank_steps.stated_on
        and account_steps.number = bank_steps.number
    window
        of_account as (partition by account_steps.kind, account_steps.account_iban, account_steps.currency),
        earlier as (
            partition by account_steps.kind, account_steps.account_iban, account_steps.currency
            order by account_steps.stated_on, account_steps.made_at, account_steps.number, account_steps.statement_no
        )

),

-- A statement may carry two numbers; that one of them continues is enough.
final as (

    select
        'statement_sequence' as kind,
        accounted.source,
        accounted.bank_account as account,
        accounted.account_iban || ' ' || accounted.currency || ' ' || accounted.stated_on as subject,
        string_agg('statement ' || accounted.number || ' follows ' || accounted.before, ', ' order by accounted.kind)
        || ': fetch from the bank what lies between' as detail
    from accounted
    where accounted.before is not null
    group by
        accounted.source,
        accounted.bank_account,
        accounted.account_iban,
        accounted.currency,
        accounted.statement_no,
        accounted.stated_on
    having not bool_or(
        accounted.follows
        or coalesce(accounted.follows_at_bank, false)
        or (accounted.steps >= 3 and accounted.steps_that_follow = 0)
    )

)

select * from final
