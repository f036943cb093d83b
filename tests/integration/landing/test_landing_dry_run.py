"""A dry run says what landing would say, and leaves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytestmark = pytest.mark.integration

EVERYTHING = (
    "select (select count(*) from raw.files) + (select count(*) from raw.stripe_report_payout_reconciliation)"
    " + (select count(*) from raw.quarantine) + (select count(*) from raw.control_totals)"
    " + (select count(*) from ops.file_keys) + (select count(*) from ops.rejected_files)"
    " + (select count(*) from raw.file_replacements) as left"
)


def left_behind(landing) -> tuple[int, int, int]:
    [rows] = landing.rows(EVERYTHING)
    [locks] = landing.rows("select count(*) as held from pg_locks where locktype = 'advisory'")
    return rows["left"], locks["held"], len(list(landing.raw_store.list()))


def test_it_says_what_landing_says_and_writes_nothing(landing, tmp_path):
    report = landing.report(tmp_path / "report.csv", rows=5)
    report.write_text(report.read_text().replace("txn_3,2026-10-01", "txn_3,2026-13-01"))

    [dry] = landing.land(report, dry_run=True)

    assert left_behind(landing) == (0, 0, 0)
    assert dry.status == "would_land"
    assert (dry.read, dry.accepted, dry.quarantined) == (5, 4, 1)
    [(line, reason)] = dry.quarantined_rows
    assert (line, "2026-13-01" in reason) == (5, True)
    [real] = landing.land(report)
    assert replace(real, status="would_land") == dry


def test_it_says_what_would_be_replaced_and_what_is_there_already(landing, tmp_path):
    old = landing.report(tmp_path / "old.csv", rows=2)
    [landed] = landing.land(old)
    before = left_behind(landing)
    newer = landing.report(tmp_path / "new.csv", rows=3)
    newer.write_text(newer.read_text().replace("10:00:00", "11:00:00"))

    again, replacing = landing.land(old, newer, dry_run=True)

    assert (again.status, replacing.status) == ("already_landed", "would_land")
    assert replacing.supersedes == (landed.file_id,)
    assert left_behind(landing) == before


def test_a_file_that_would_be_refused_is_named_and_not_noted(landing, tmp_path):
    (tmp_path / "wrong.csv").write_text("nothing\n")
    [file] = landing.land(tmp_path / "wrong.csv", dry_run=True)
    assert (file.status, file.error.file) == ("rejected", "wrong.csv")
    assert left_behind(landing) == (0, 0, 0)


def test_it_needs_no_keeper_of_keys(landing, tmp_path, monkeypatch):
    def away(*_: object) -> None:
        raise AssertionError("a key was asked for")

    monkeypatch.setattr(landing.wrapping, "wrap", away, raising=False)
    [file] = landing.land(landing.report(tmp_path / "report.csv"), dry_run=True)
    assert file.status == "would_land"
