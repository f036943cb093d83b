{{ config(indexes=[{'columns': ['corrected_id']}]) }}
-- One row per adjustment inside the cut whose corrected entry takes part too, with the reference that each of them has.
-- Adjustments are few: the entries that they correct are looked up, and no other is read.
with adjustments as (

    select entries.seq, entries.entry_id, entries.corrects, entries.metadata_reference
    from {{ ref('stg_ledger__entries') }} as entries
    where entries.corrects is not null

),

cancelled as (

    select * from {{ ref('int_cancelled_entries') }}

),

providers as (

    select distinct accounts.provider
    from {{ ref('int_clearing_accounts') }} as accounts
    where accounts.provider is not null

),

final as (

    select
        adjustments.seq,
        adjustments.entry_id,
        nullif(adjustments.metadata_reference, '') as metadata_reference,
        corrected.seq as corrected_seq,
        corrected.entry_id as corrected_id,
        corrected.corrects as corrected_corrects,
        {{ entry_reference('corrected', "coalesce(providers.provider, '')") }} as corrected_reference,
        corrected.external_id as corrected_external_id
    from adjustments
    inner join {{ ref('stg_ledger__entries') }} as corrected
        on adjustments.corrects = corrected.entry_id
    left join providers
        on split_part(corrected.external_id, ':', 1) = providers.provider
    where not exists (select 1 from cancelled where cancelled.seq = adjustments.seq)
        and not exists (select 1 from cancelled where cancelled.seq = corrected.seq)

)

select * from final
