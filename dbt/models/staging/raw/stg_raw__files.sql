-- One row per file inside the pin.
select
    pin_files.file_no,
    files.file_id,
    files.source,
    sources.kind,
    -- A bank is no provider; files that landed before say `bank` here.
    nullif(files.provider, 'bank') as provider,
    files.account,
    files.name,
    files.sha256,
    files.received_at,
    files.record_type,
    coalesce(files.interval_from, files.first_on) as covers_from,
    coalesce(files.interval_to, files.last_on) as covers_to,
    files.rows_read,
    files.rows_accepted,
    files.rows_quarantined
from {{ source('recon', 'pin_files') }} as pin_files
inner join {{ source('raw', 'current_files') }} as files
    on pin_files.file_id = files.file_id
left join {{ ref('stg_raw__sources') }} as sources
    on files.source = sources.source
    and files.record_type = sources.record_type
where pin_files.target_schema = '{{ target.schema }}'
