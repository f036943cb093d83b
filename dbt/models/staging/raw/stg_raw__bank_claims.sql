-- One row per promise of a contract that a bank line with this text is a provider's.
select
    claims.source,
    claims.provider,
    claims.field,
    claims.pattern
from {{ source('raw', 'bank_claims') }} as claims
