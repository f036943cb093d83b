-- One row per source and record type: what its contract says of it.
select
    sources.source,
    sources.record_type,
    sources.kind,
    sources.provider,
    sources.scale,
    sources.sign_rule,
    sources.time_zone,
    sources.currency_case,
    sources.carries,
    sources.credit_word,
    sources.debit_word,
    sources.identified_by,
    sources.dated_by
from {{ source('raw', 'sources') }} as sources
