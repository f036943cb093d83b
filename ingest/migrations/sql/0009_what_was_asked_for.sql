-- A file is its bytes and the interval that it was asked for: the reports of two days without a sale have the same bytes.
alter table raw.files drop constraint files_book_source_account_sha256_key;
create unique index files_by_content on raw.files
    (book, source, account, sha256, coalesce(interval_from, '-infinity'), coalesce(interval_to, 'infinity'));
