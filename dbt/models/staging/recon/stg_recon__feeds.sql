-- One row per feed that is set by hand.
select
    feeds.source,
    feeds.account,
    feeds.record_type,
    feeds.cadence,
    feeds.due_hour,
    feeds.since
from {{ source('recon', 'pin_feeds') }} as feeds
where feeds.target_schema = '{{ target.schema }}'
