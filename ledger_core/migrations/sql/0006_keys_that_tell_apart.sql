-- An index is read from its first column on, and most rows are of one book: what tells rows apart stands first, so that an
-- append compares a number, or one text, where it compared the book's name at every step down. Equality on both columns reads
-- either order alike.
drop index ledger.postings_by_account;
create index postings_by_account on ledger.postings (account_id, book, seq);
drop index ledger.postings_account;
create index postings_account on ledger.postings (account_id, book, effective_at, seq);
drop index ledger.entries_external_id;
create unique index entries_external_id on ledger.entries (external_id, book);
