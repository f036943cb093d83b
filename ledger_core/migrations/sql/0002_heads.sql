-- The ledger's face: what other rooms read of it is `heads` and the `posted_*` views, and no table.

-- Where each book's log ends and how far it is signed, without what only the sequencer needs.
create view ledger.heads as
select head.book, head.origin, head.size, head.signed_size, head.last_recorded_at
from ledger.log_head as head;

-- A balance says its currency. Left, though every balance has its account: a reader that asks for none is spared the join.
create or replace view ledger.posted_balances as
select
    balance.book, balance.account_id, balance.debits, balance.credits, balance.last_seq, head.size, head.signed_size,
    account.currency
from ledger.balances as balance
inner join ledger.log_head as head using (book)
left join ledger.accounts as account using (book, account_id);

grant select on ledger.heads
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
