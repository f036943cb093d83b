-- "A superseded file is not read", said once: what other rooms read of the register of files is this view.

-- One newer version a file, which landing keeps to under its lock; with the index the view has one row a file for certain,
-- and a reader that does not ask which files are current is spared the join.
create unique index files_supersedes on raw.files (supersedes);

-- One row per landed file, also those that a newer version replaced: an older run has pinned them.
create view raw.current_files as
select
    file.file_id, file.book, file.source, file.provider, file.account, file.name, file.sha256, file.bytes, file.received_at,
    file.record_type, file.interval_from, file.interval_to, file.first_on, file.last_on, file.parser_version, file.status,
    file.supersedes, file.rows_read, file.rows_accepted, file.rows_quarantined, file.warnings,
    newer.file_id as superseded_by,
    newer.name as superseded_by_name,
    -- By the column of the join: so the planner sees the anti-join that `where is_current` is.
    newer.supersedes is null as is_current
from raw.files as file
left join raw.files as newer on newer.supersedes = file.file_id;

grant select on raw.current_files
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
