-- One row per row that was put aside, of the files inside the pin; of those whose id can be read, with it and their day.
select
    files.file_no,
    files.source,
    files.kind,
    files.provider,
    files.account,
    files.name as file_name,
    files.record_type,
    files.covers_from,
    quarantine.ordinal,
    quarantine.line,
    quarantine.code,
    quarantine.reason,
    ids.row_id,
    substring(quarantine.raw from '"' || sources.dated_by || '":"(\d{4}-\d\d-\d\d)') as dated_on
from {{ source('raw', 'quarantine') }} as quarantine
inner join {{ ref('stg_raw__files') }} as files
    on quarantine.file_id = files.file_id
inner join {{ ref('stg_raw__sources') }} as sources
    on files.source = sources.source
    and files.record_type = sources.record_type
-- What identifies a row may be several columns together, joined as its source joins them; one that cannot be read leaves it unknown.
cross join lateral (
    select case when count(parts.value) = count(*) then nullif(string_agg(parts.value, ':' order by parts.place), '') end as row_id
    from (
        select
            columns.place,
            substring(quarantine.raw from '"' || columns.name || '":"([^"]*)"') as value
        from string_to_table(sources.identified_by, ',') with ordinality as columns (name, place)
    ) as parts
) as ids
