-- One row: what this run may see.
select
    pins.run_id,
    pins.book,
    pins.as_of,
    (pins.as_of + 1)::timestamp at time zone 'UTC' as cut_at,
    pins.signed_size,
    pins.grace_business_days,
    pins.provider_account
from {{ source('recon', 'pins') }} as pins
where pins.target_schema = '{{ target.schema }}'
