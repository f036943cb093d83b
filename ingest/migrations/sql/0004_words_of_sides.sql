-- What an indicator beside an amount says, as data: the SQL that gives an amount its sign names no source's words.
alter table raw.sources add column credit_word text, add column debit_word text;

update raw.sources set credit_word = 'CRDT', debit_word = 'DBIT' where source = 'camt053';

alter table raw.sources
    add check ((sign_rule = 'dr_cr') = (credit_word is not null)),
    add check ((credit_word is null) = (debit_word is null));
