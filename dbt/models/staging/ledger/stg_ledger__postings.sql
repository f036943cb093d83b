-- One row per posting inside the pin and the cut; debits are positive here.
select
    postings.seq,
    postings.line,
    postings.account_id,
    postings.direction,
    postings.amount_minor,
    case postings.direction when 'debit' then postings.amount_minor else -postings.amount_minor end as signed_minor,
    postings.currency,
    (postings.effective_at at time zone 'UTC')::date as effective_on
from {{ source('ledger', 'posted_postings') }} as postings
where postings.book = {{ pinned('book') }}
    and postings.seq < {{ pinned('signed_size') }}
    and postings.effective_at < {{ pinned_until() }}
