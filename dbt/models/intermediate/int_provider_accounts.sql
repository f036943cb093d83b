-- One row per provider that files speak for: the account at it, when there is one only.
select
    files.provider,
    min(files.account) as account
from {{ ref('stg_raw__files') }} as files
where files.kind = 'psp'
group by files.provider
having count(distinct files.account) = 1
