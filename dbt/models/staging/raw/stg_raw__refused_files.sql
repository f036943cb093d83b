-- One row per file of the run's book that was refused whole before the run's pin was taken.
select
    refused.rejected_id,
    refused.source,
    refused.account,
    refused.name,
    refused.content_hmac,
    refused.record_type,
    refused.first_on,
    refused.last_on,
    refused.code,
    refused.reason,
    refused.rejected_at
from {{ source('raw', 'refused_files') }} as refused
where refused.book = {{ pinned('book') }}
