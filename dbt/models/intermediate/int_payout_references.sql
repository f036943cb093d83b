-- One row per folded text by which a bank line may name a payout: its id, and what its provider says the bank will show.
with transfers as (

    select * from {{ ref('int_transfers') }}

),

said as (
{{ union_of('psp_payout_references') }}
),

named as (

    select transfers.payout_number, transfers.provider, {{ folded('transfers.payout_id') }} as reference
    from transfers

    union

    select transfers.payout_number, transfers.provider, {{ folded('said.reference') }} as reference
    from transfers
    inner join said
        on transfers.provider = said.provider
        and transfers.account = said.account
        and transfers.payout_id = said.payout_id

),

counted as (

    select
        named.payout_number,
        named.provider,
        named.reference,
        count(*) over (partition by named.provider, named.reference) as owners
    from named
    where length(named.reference) >= {{ least_reference_length() }}

),

final as (

    select
        counted.payout_number,
        counted.provider,
        counted.reference,
        counted.owners = 1 as is_unique
    from counted
    where counted.owners <= {{ most_payouts_of_a_reference() }}

)

select * from final
