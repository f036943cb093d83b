-- One row per control total of a file inside the pin.
select
    files.file_no,
    files.source,
    files.account,
    files.name as file_name,
    totals.name,
    totals.subject,
    totals.expected,
    totals.actual,
    totals.passed
from {{ source('raw', 'control_totals') }} as totals
inner join {{ ref('stg_raw__files') }} as files
    on totals.file_id = files.file_id
