-- The same bytes may land once more, read by a later version of their source's parser: that landing replaces the one before.
drop index raw.files_by_content;
create unique index files_by_content on raw.files
    (book, source, account, sha256, coalesce(interval_from, '-infinity'), coalesce(interval_to, 'infinity'), parser_version);
