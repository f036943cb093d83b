"""The report of a night that closed more than anybody reads: what is listed, what is counted, where the rest is."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Connection, Engine, text

from reconciliation.breaks.queue import list_breaks
from reconciliation.report import render_report
from reconciliation.report.read import read_report

pytestmark = pytest.mark.integration

FIRST, SECOND = "1" * 64, "2" * 64
THURSDAY, FRIDAY = date(2026, 10, 29), date(2026, 10, 30)
OLD_CLOSED, CLOSED, OPEN, FILES = 3, 201, 205, 501


@pytest.fixture
def nights(engine: Engine) -> Engine:
    """Two runs: the first opened everything and closed three, the second closed 201, and 205 opened in it."""
    with engine.begin() as connection:
        for ordinal, (run_id, on) in enumerate(((FIRST, THURSDAY), (SECOND, FRIDAY)), start=1):
            connection.execute(
                text(
                    "insert into recon.runs (run_id, book, as_of, signed_size, code_version, verdict, merged, counts,"
                    " manifest, manifest_sha256, ordinal, created_at)"
                    " values (:id, 'main', :on, 0, 'c', 'breaks', true, '{}', '{}', :id, :ordinal, now())"
                ),
                {"id": run_id, "on": on, "ordinal": ordinal},
            )
        insert_breaks(connection, "old", OLD_CLOSED, closed_on=THURSDAY, ordinal=1)
        insert_breaks(connection, "closed", CLOSED, closed_on=FRIDAY, ordinal=2)
        insert_breaks(connection, "open", OPEN, closed_on=None, ordinal=2)
        connection.execute(
            text(
                "insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes,"
                " object_name, received_at, record_type, parser_version, status, rows_read, rows_accepted,"
                " rows_quarantined, first_on, last_on)"
                " select gen_random_uuid(), 'main', 's', 'p', 'default', 'file-' || lpad(n::text, 4, '0'), sha, sha, 1,"
                " 'o', now(), 'x', 1, 'landed', 1, 1, 0, '2025-01-01'::date + n, '2025-01-01'::date + n"
                " from (select n, encode(sha256(n::text::bytea), 'hex') as sha from generate_series(1, :files) as n)"
                " as made"
            ),
            {"files": FILES},
        )
        connection.execute(
            text("insert into recon.run_files (run_id, file_id) select :id, file_id from raw.files"), {"id": SECOND}
        )
    return engine


def insert_breaks(connection: Connection, name: str, count: int, *, closed_on: date | None, ordinal: int) -> None:
    values = {"name": name, "count": count, "closed_on": closed_on, "ordinal": ordinal, "run": str(ordinal) * 64}
    connection.execute(
        text(
            "insert into recon.breaks (book, break_id, leg, provider, account, sign, class, key, keys, currency,"
            " amount_minor, priority, status, opened_on, closed_on, resolution, rule, rule_version, first_run_id,"
            " run_id, as_of)"
            " select 'main', encode(sha256((cast(:name as text) || n)::bytea), 'hex'), 'A', 'stripe', 'default', 1,"
            " 'missing_at_psp', :name || '-' || lpad(n::text, 4, '0'), '{}', 'USD', 100, 'p2',"
            " case when cast(:closed_on as date) is null then 'open' else 'closed' end, '2026-10-29', :closed_on,"
            " case when cast(:closed_on as date) is not null then 'matched_later' end, 'r', 1, :run, :run, '2026-10-29'"
            " from generate_series(1, :count) as n"
        ),
        values,
    )
    connection.execute(
        text(
            "insert into recon.break_events (book, break_id, run_id, run_ordinal, event, happened_on, class,"
            " amount_minor) select book, break_id, :run, :ordinal,"
            " case status when 'open' then 'opened' else 'closed' end, coalesce(closed_on, '2026-10-30'), class, 100"
            " from recon.breaks where starts_with(key, :name || '-')"
        ),
        values,
    )


def test_at_most_200_closed_breaks_are_listed_and_the_page_names_the_command_for_the_rest(nights: Engine) -> None:
    with nights.connect() as connection:
        report = read_report(connection, SECOND)
        page = render_report(connection, SECOND)
    assert sum(1 for change in report.changes if change.kind == "closed") == 200
    assert "Closed (201)" in page
    assert "205 opened, 201 closed since the last run" in page
    assert "200 of 201 are listed here" in page
    assert "<code>counterfoil breaks list --book main --status closed --closed-from 2026-10-30</code>" in page
    assert "200 of 205 are listed here" in page
    assert page.count(">closed-0") == 200


def test_the_command_that_the_page_names_lists_them_all_and_none_of_the_nights_before(nights: Engine) -> None:
    with nights.connect() as connection:
        listed = list_breaks(connection, "main", status="closed", closed_from=FRIDAY)
        everything = list_breaks(connection, "main", status="closed")
    assert len(listed) == CLOSED
    assert len(everything) == CLOSED + OLD_CLOSED


def test_a_break_that_opened_since_the_last_run_is_marked_new_listed_among_the_changes_or_not(nights: Engine) -> None:
    with nights.connect() as connection:
        report = read_report(connection, SECOND)
    assert len(report.breaks) == OPEN
    assert all(row.is_new for row in report.breaks)


def test_the_newest_input_files_are_listed_and_all_are_counted(nights: Engine) -> None:
    with nights.connect() as connection:
        report = read_report(connection, SECOND)
        page = render_report(connection, SECOND)
    assert [file.name for file in report.files][::499] == ["file-0501", "file-0002"]
    assert "501 input files, the 500 newest of them here" in page
