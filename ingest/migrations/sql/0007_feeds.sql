-- Which side of matching a record type brings: an entry that nobody answers waits for the reports that would hold it, and no other.

alter table raw.sources
    add column carries text not null default 'items_and_payouts'
        check (carries in ('items', 'payouts', 'items_and_payouts', 'bank'));

update raw.sources
set carries = case
    when kind = 'bank' then 'bank'
    when source = 'stripe_report' and record_type = 'payout_reconciliation' then 'items'
    when source = 'stripe_report' and record_type = 'payouts' then 'payouts'
    else carries
end;
