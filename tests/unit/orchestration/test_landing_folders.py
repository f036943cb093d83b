"""Which files the close takes from the landing folders."""

from __future__ import annotations

from pathlib import Path

from orchestration.sources import contracts, landing_files, unknown_folders, waiting_files


def test_every_source_that_lands_has_a_contract() -> None:
    assert {"camt053", "stripe_report"} <= set(contracts())


def test_files_come_by_name_and_half_written_ones_wait(tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "camt053"
    folder.mkdir(parents=True)
    for name in ("b.xml", "a.xml", ".hidden.xml", "c.xml.part", "d.making", "e.tmp"):
        (folder / name).write_text("x")
    assert [path.name for path in landing_files(tmp_path, "camt053")] == ["a.xml", "b.xml"]


def test_a_folder_below_a_source_is_an_account_at_the_provider(tmp_path: Path) -> None:
    landing = tmp_path / "landing" / "stripe_report"
    for name in (
        "own.csv",
        "acct_b/late.csv",
        "acct_b/half.part",
        "acct_a/first.csv",
        "acct_empty/.keep",
        ".git/x.csv",
    ):
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text("x")
    found = {
        account: [path.name for path in files] for account, files in waiting_files(tmp_path, "stripe_report").items()
    }
    assert found == {None: ["own.csv"], "acct_a": ["first.csv"], "acct_b": ["late.csv"]}
    assert waiting_files(tmp_path, "camt053") == {}


def test_a_source_without_a_folder_has_no_files(tmp_path: Path) -> None:
    assert landing_files(tmp_path, "camt053") == []


def test_a_folder_that_is_no_source_is_named_when_files_wait_in_it(tmp_path: Path) -> None:
    for name in ("camt053", "stripe_reports", "empty", ".drafts"):
        (tmp_path / "landing" / name).mkdir(parents=True)
    for name in ("camt053", "stripe_reports", ".drafts"):
        (tmp_path / "landing" / name / "file").write_text("x")
    assert unknown_folders(tmp_path, {"camt053", "entries"}) == ["stripe_reports"]
