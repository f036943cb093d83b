-- How far each destination outside has been told of a book's log. No projection: no record says it, and losing it costs
-- that records are told again.
create table ledger.relay_cursors (
    book text not null,
    destination text not null,
    next_seq bigint not null check (next_seq >= 0),
    moved_at timestamptz not null default now(),
    primary key (book, destination)
);

grant select, insert, update on ledger.relay_cursors to counterfoil_writer;
grant select on ledger.relay_cursors to counterfoil_reader, counterfoil_auditor;
