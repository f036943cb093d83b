{{ config(indexes=[{'columns': ['corrected_id']}]) }}
-- One row per adjustment inside the cut whose corrected entry takes part too, with the reference that each of them has.
with entries as (

    select
        entries.seq,
        entries.entry_id,
        entries.corrects,
        nullif(entries.metadata_reference, '') as metadata_reference,
        entries.external_id,
        providers.provider
    from {{ ref('stg_ledger__entries') }} as entries
    left join (
        select distinct accounts.provider
        from {{ ref('int_clearing_accounts') }} as accounts
        where accounts.provider is not null
    ) as providers
        on split_part(entries.external_id, ':', 1) = providers.provider
    where not exists (select 1 from {{ ref('int_cancelled_entries') }} as cancelled where cancelled.seq = entries.seq)

),

final as (

    select
        adjustments.seq,
        adjustments.entry_id,
        adjustments.metadata_reference,
        corrected.seq as corrected_seq,
        corrected.entry_id as corrected_id,
        corrected.corrects as corrected_corrects,
        {{ entry_reference('corrected', "coalesce(corrected.provider, '')") }} as corrected_reference,
        corrected.external_id as corrected_external_id
    from entries as adjustments
    inner join entries as corrected
        on adjustments.corrects = corrected.entry_id

)

select * from final
