"""Rows put aside: listed, shown, and read again by a later parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from typer.testing import CliRunner

from cli.main import app
from ingest.contract.rows import Source
from ingest.formats.csv.reader import CsvReader
from ingest.landing.aside import list_aside, show_aside
from ingest.landing.file_keys import drop_key
from ingest.landing.land import land
from ingest.landing.retrying import retry
from ingest.sources.stripe_report import contract as stripe
from ledger_core.errors import NotFound
from ledger_core.runtime import Runtime
from reconciliation.runs.run import reconcile

pytestmark = pytest.mark.integration


def spoilt(landing, path, *, line: int = 1, rows: int = 3, **report: object):
    """Write a report of which one row does not add up."""
    landing.report(path, rows=rows, **report)
    lines = path.read_text().splitlines()
    lines[line] = lines[line].replace("24.05", "24.06")
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Install a release whose parser asks no row to add up."""

    def install(version: int) -> None:
        records = tuple(replace(each, identity=None) for each in stripe.CONTRACT.record_types)
        later = replace(stripe.CONTRACT, parser_version=version, record_types=records)
        source = Source(contract=later, parse=lambda stream, *, name: CsvReader(stream, later, name=name))
        monkeypatch.setattr("ingest.sources.stripe_report.contract.CONTRACT", later)
        monkeypatch.setattr("ingest.sources.stripe_report.land.SOURCE", source)

    return install


def aside(landing, **wanted: object):
    with landing.engine.connect() as connection:
        return list_aside(connection, "main", **wanted)


def test_rows_are_listed_newest_first_and_shown_by_file_and_line(landing, tmp_path):
    landing.land(spoilt(landing, tmp_path / "a.csv"), spoilt(landing, tmp_path / "b.csv", line=3, start=10))
    listed = aside(landing)
    assert [(row.file, row.line, row.code) for row in listed] == [("a.csv", 2, "identity"), ("b.csv", 4, "identity")]
    assert [row.file for row in aside(landing, limit=1)] == ["a.csv"]
    assert aside(landing, source="camt053") == aside(landing, code="bad_date") == []
    with landing.engine.connect() as connection:
        [shown] = show_aside(connection, "main", "b.csv", 4)
        [by_id] = show_aside(connection, "main", str(shown.file_id), 4)
        assert shown == by_id
        assert json.loads(shown.raw)["balance_transaction_id"] == "txn_12"
        with pytest.raises(NotFound, match=r"nothing was put aside at line 3 of b\.csv"):
            show_aside(connection, "main", "b.csv", 3)


def test_a_later_parser_reads_the_stored_bytes_and_its_landing_counts(landing, tmp_path, release):
    [first] = landing.land(spoilt(landing, tmp_path / "report.csv", rows=5))
    (tmp_path / "report.csv").unlink()
    release(2)

    [healed] = retry(landing, book="main")

    assert (healed.status, healed.was_aside, healed.is_aside) == ("healed", 1, 0)
    assert (healed.parser_was, healed.parser_is) == (1, 2)
    files = landing.rows(
        "select parser_version, rows_read, rows_accepted, rows_quarantined, is_current"
        " from raw.current_files order by parser_version"
    )
    assert [tuple(row.values()) for row in files] == [(1, 5, 4, 1, False), (2, 5, 5, 0, True)]
    assert healed.landed.supersedes == (first.file_id,)
    assert aside(landing) == []
    assert len(aside(landing, current=False)) == 1
    # Again there is nothing to do.
    assert retry(landing, book="main") == []


def test_what_the_same_parser_put_aside_stays_there(landing, tmp_path):
    landing.land(spoilt(landing, tmp_path / "report.csv"))
    [same] = retry(landing, book="main")
    assert (same.status, same.is_aside) == ("same_parser", 1)
    assert landing.counts()["raw.files"] == 1


def test_a_parser_that_reads_no_more_leaves_the_file_as_it_is(landing, tmp_path, release):
    path = landing.report(tmp_path / "report.csv")
    path.write_text(path.read_text().replace("2026-10-01 10:00:00", "soon", 1))
    landing.land(path)
    release(2)
    [unchanged] = retry(landing, book="main")
    assert (unchanged.status, unchanged.is_aside) == ("unchanged", 1)
    assert landing.counts()["raw.files"] == 1
    assert len(list(landing.raw_store.list())) == 1


def test_bytes_that_were_erased_are_not_read_again(landing, tmp_path, release):
    [file] = landing.land(spoilt(landing, tmp_path / "report.csv"))
    with landing.engine.begin() as connection:
        drop_key(connection.connection.driver_connection, str(file.file_id))
    release(2)
    [erased] = retry(landing, book="main")
    assert (erased.status, erased.is_aside) == ("erased", 1)
    assert landing.counts()["raw.files"] == 1


def test_one_file_or_one_source_can_be_asked_for(landing, tmp_path, release):
    first, second = landing.land(spoilt(landing, tmp_path / "a.csv"), spoilt(landing, tmp_path / "b.csv", start=10))
    release(2)
    assert [each.name for each in retry(landing, book="main", file_id=second.file_id)] == ["b.csv"]
    assert retry(landing, book="main", source="camt053") == []
    assert [each.name for each in retry(landing, book="main", source="stripe_report")] == ["a.csv"]
    with pytest.raises(NotFound, match="that counts has rows aside"):
        retry(landing, book="main", file_id=first.file_id)


def test_a_kill_between_reading_and_committing_leaves_the_file_as_it_was(landing, tmp_path, release, monkeypatch):
    landing.land(spoilt(landing, tmp_path / "report.csv"))
    release(2)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.landing.relations.replace_whole", _killed)
        with pytest.raises(KeyboardInterrupt):
            retry(landing, book="main")
    assert landing.counts()["raw.files"] == 1
    [healed] = retry(landing, book="main")
    assert healed.status == "healed"


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_run_counts_what_is_aside_and_the_next_one_has_it(
    runtime: Runtime, tmp_path, landing, release, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spoilt(landing, tmp_path / "report.csv", rows=5)
    land(runtime, source="stripe_report", paths=[path], book="main")
    before = reconcile(runtime, to=date(2026, 10, 1))
    assert [reason["kind"] for reason in before.reasons] == ["rows_put_aside"]
    release(2)
    for name, value in {"HOME": str(runtime.home), "ENV": "test"}.items():
        monkeypatch.setenv(f"COUNTERFOIL_{name}", value)
    monkeypatch.setenv("DATABASE_URL", runtime.database_url)

    listed = CliRunner().invoke(app, ["quarantine", "list"], catch_exceptions=False)
    shown = CliRunner().invoke(app, ["quarantine", "show", "report.csv", "2"], catch_exceptions=False)
    retried = CliRunner().invoke(app, ["quarantine", "retry"], catch_exceptions=False)

    assert "identity" in listed.stdout
    assert "by version 1 of the parser" in shown.stdout
    assert (retried.exit_code, "healed" in retried.stdout, "1 -> 2" in retried.stdout) == (0, True, True)
    after = reconcile(runtime, to=date(2026, 10, 1))
    assert not [reason for reason in after.reasons if reason["kind"] == "rows_put_aside"], after.reasons
    with runtime.engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from analytics.int_psp_items").scalar_one() == 5
