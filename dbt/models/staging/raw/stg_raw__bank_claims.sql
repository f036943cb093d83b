-- One row per promise of a provider's contract about the bank lines that hold this text, and what it means to hold it.
select
    claims.source,
    claims.provider,
    claims.field,
    claims.pattern,
    claims.purpose
from {{ source('raw', 'bank_claims') }} as claims
