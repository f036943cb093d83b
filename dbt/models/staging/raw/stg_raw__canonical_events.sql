-- One row per type of a source that we know.
select
    events.source,
    events.type,
    events.event
from {{ source('raw', 'canonical_events') }} as events
