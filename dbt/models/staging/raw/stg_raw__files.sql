-- One row per file inside the pin of which any day counts: the days that a newer file of the pin replaces are not read.
with pin_files as (

    select pin_files.file_id, pin_files.file_no
    from {{ source('recon', 'pin_files') }} as pin_files
    where pin_files.target_schema = '{{ target.schema }}'

),

replaced as (

    select
        replacements.older_id,
        range_agg(daterange(replacements.first_on, replacements.last_on, '[]')) as replaced_days
    from {{ source('raw', 'file_replacements') }} as replacements
    inner join pin_files
        on replacements.newer_id = pin_files.file_id
    group by replacements.older_id

),

final as (

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
        files.content_hmac,
        files.received_at,
        files.document_at,
        files.record_type,
        coalesce(files.time_zone, sources.time_zone) as time_zone,
        files.payouts_sign_by_fee,
        files.payouts_sign_by_sum,
        files.covers_from,
        files.covers_to,
        files.first_on as rows_from,
        sources.carries,
        replaced.replaced_days,
        files.rows_read,
        files.rows_accepted,
        files.rows_quarantined
    from pin_files
    inner join {{ source('raw', 'current_files') }} as files
        on pin_files.file_id = files.file_id
    left join {{ ref('stg_raw__sources') }} as sources
        on files.source = sources.source
        and files.record_type = sources.record_type
    left join replaced
        on files.file_id = replaced.older_id
    where replaced.older_id is null
        or not isempty(datemultirange(daterange(files.covers_from, files.covers_to, '[]')) - replaced.replaced_days)

)

select * from final
