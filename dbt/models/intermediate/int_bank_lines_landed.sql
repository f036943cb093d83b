{{ config(materialized='view', unlogged=none) }}
-- One row per booked bank line of whichever bank, as it landed: also of a statement that a newer one replaced.
with final as (

{{ union_of('bank_lines') }}

)

select * from final
