"""The folder a sample is written to: whole or untouched, and nobody else's files in danger."""

from __future__ import annotations

import json
from datetime import date

import pytest

from ledger_core.errors import InvalidInput
from sample import make_sample


def _bytes(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_written_files_are_the_rendered_ones(tmp_path, make_files):
    summary = make_sample(tmp_path / "sample", days=5, per_day=60, seed=1)

    written = _bytes(tmp_path / "sample")
    assert written == make_files(days=5)
    assert (summary.files, summary.bytes) == (len(written), sum(map(len, written.values())))
    assert summary.entries == written["entries.jsonl"].count(b"\n")
    assert summary.as_of.isoformat() == json.loads(written["truth.json"])["as_of"]
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_an_earlier_sample_is_replaced_whole(tmp_path):
    make_sample(tmp_path / "a", days=20, per_day=20, seed=1)
    make_sample(tmp_path / "a", days=3, per_day=20, seed=2)
    make_sample(tmp_path / "b", days=3, per_day=20, seed=2)

    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")


def test_a_folder_with_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years of work")

    with pytest.raises(InvalidInput, match=r"thesis\.txt"):
        make_sample(tmp_path, days=3, per_day=20, seed=1)

    assert _bytes(tmp_path) == {"thesis.txt": b"ten years of work"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "sample").write_text("")

    with pytest.raises(InvalidInput, match="not a folder"):
        make_sample(tmp_path / "sample", days=3, per_day=20, seed=1)


def test_what_a_killed_run_left_behind_is_replaced(tmp_path):
    (tmp_path / ".sample.partial" / "bank").mkdir(parents=True)
    (tmp_path / ".sample.partial" / "entries.jsonl").write_text("half a line")

    make_sample(tmp_path / "sample", days=3, per_day=20, seed=1)

    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize(("days", "per_day"), [(0, 1), (1, 0), (3661, 1), (1, 1_000_001)])
def test_sizes_out_of_range_are_refused(days, per_day, tmp_path):
    with pytest.raises(InvalidInput, match="out of range"):
        make_sample(tmp_path / "sample", days=days, per_day=per_day, seed=1)

    assert list(tmp_path.iterdir()) == []


def test_a_sample_too_short_for_any_payout_has_reports_with_headers_alone(tmp_path):
    make_sample(tmp_path / "sample", days=1, per_day=20, seed=1, start=date(2026, 10, 3))

    reports = list((tmp_path / "sample" / "stripe").iterdir())
    assert len(reports) == 2
    assert all(report.read_bytes().count(b"\n") == 1 for report in reports)
