"""The verifier on whole archives: which log a folder belongs to, where it lies, what is gone from either end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log import places, registries, verify_segment
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.verifier import verify_path

SEGMENTS = "ledger.example/test/main/segments"


def verdict(path: Path, archive: Any, **options: Any) -> tuple[str, int]:
    report = verify_path(path, archive.log.trust, **options)
    return report.verdict, report.exit_status


def details(path: Path, archive: Any, **options: Any) -> str:
    report = verify_path(path, archive.log.trust, **options)
    assert report.exit_status, report.as_lines()
    return "\n".join(map(str, report.failures))


def test_two_logs_of_one_archive_have_a_verdict_each(archive: Any, other: Any) -> None:
    report = verify_path(archive.root, archive.log.trust)
    assert report.verdict == "verified", report.as_lines()
    assert [(item.origin, item.verdict, item.records, item.size) for item in report.logs] == [
        ("ledger.example/test/main", "verified", 60, 60),
        ("ledger.example/test/other", "verified", 30, 30),
    ]
    (other.folders[1] / "checkpoint").unlink()
    report = verify_path(archive.root, archive.log.trust)
    assert [item.verdict for item in report.logs] == ["verified", "missing"]
    assert report.verdict == "missing"
    assert "ledger.example/test/other: missing" in "\n".join(report.as_lines())


def test_another_books_tree_in_the_place_of_one_is_a_fork(archive: Any, other: Any) -> None:
    place = archive.root / "ledger.example/test"
    shutil.rmtree(place / "main")
    shutil.copytree(place / "other", place / "main")
    for path in (archive.root, place, place / "main", place / "main" / "segments", archive.root / "ledger.example"):
        assert verdict(path, archive) == ("forked", 1), path
    assert "in the place of ledger.example/test/main" in details(archive.root, archive)


def test_a_book_that_was_moved_to_another_books_place_is_a_fork(archive: Any) -> None:
    place = archive.root / "ledger.example/test"
    (place / "main").rename(place / "second")
    assert verdict(archive.root, archive) == ("forked", 1)
    (place / "second").rename(place / "main")
    (archive.root / "ledger.example").rename(archive.root / "elsewhere.example")
    assert verdict(archive.root, archive) == ("forked", 1)


@pytest.mark.parametrize("place", ["2026/02/28", "2027/01/31", "2026/01/30"])
def test_a_segment_moved_to_another_date_is_a_fork(archive: Any, place: str) -> None:
    folder = archive.folders[0]
    moved = archive.root / SEGMENTS / place / folder.name
    moved.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(moved)
    assert verdict(archive.root, archive) == ("forked", 1)
    assert verdict(moved, archive) == ("forked", 1)
    assert f"it lies under {place}" in details(moved, archive)


@pytest.mark.parametrize("name", ["0000000001-0-20", "0000000000-0-21", "first", "0000000000-0-20.old"])
def test_a_segment_under_another_name_is_a_fork(archive: Any, name: str) -> None:
    folder = archive.folders[0]
    folder.rename(folder.with_name(name))
    assert verdict(archive.root, archive) == ("forked", 1)
    assert verdict(folder.with_name(name), archive) == ("forked", 1)


def test_a_segment_copied_beside_itself_is_a_fork(archive: Any) -> None:
    shutil.copytree(
        archive.folders[1], archive.root / SEGMENTS / "2026/02/02" / archive.folders[1].name, dirs_exist_ok=True
    )
    assert verdict(archive.root, archive) == ("forked", 1)


def copies(archive: Any, folder: Path) -> list[Path]:
    """The same segments, as somebody may carry them away: a year, a flat heap, days, folders under other names."""
    shutil.copytree(archive.root / SEGMENTS / "2026", folder / "year" / "2026")
    shutil.copytree(archive.root / SEGMENTS, folder / "bare" / "segments")
    for number, segment in enumerate(archive.folders):
        shutil.copytree(segment, folder / "flat" / segment.name)
        shutil.copytree(segment, folder / "named" / f"visit-{number}")
        shutil.copytree(segment, folder / "days" / segment.parent.name / segment.name)
    return [
        folder / "year",
        folder / "year/2026",
        folder / "bare",
        *(folder / name for name in ("flat", "named", "days")),
    ]


def test_segments_verify_wherever_their_folders_lie(archive: Any, tmp_path: Path) -> None:
    for path in copies(archive, tmp_path / "c"):
        report = verify_path(path, archive.log.trust)
        assert (report.verdict, report.records, len(report.logs)) == ("verified", 60, 1), report.as_lines()


def test_a_missing_day_is_missing_wherever_the_folders_lie(archive: Any, tmp_path: Path) -> None:
    shutil.rmtree(archive.folders.pop(1))
    for path in copies(archive, tmp_path / "c"):
        assert verdict(path, archive) == ("missing", 1), path


def test_a_fork_on_another_day_is_a_fork_wherever_the_folders_lie(archive: Any, tmp_path: Path) -> None:
    fork = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key)
    fork.lines = archive.log.lines[:20]
    fork.append({**json.loads(archive.log.lines[20])["body"], "description": "never happened"})
    fork.fill(45)
    made = type(archive)(root=tmp_path / "fork", log=fork, folders=[archive.folders[0]], previous=None)
    forged = made.export(20, 45, edit=lambda value: value.update(previous=previous_of(archive.folders[1])))
    shutil.rmtree(archive.folders[1])
    shutil.copytree(forged, archive.folders[1])
    for path in copies(archive, tmp_path / "c"):
        assert verdict(path, archive) == ("forked", 1), path


def previous_of(folder: Path) -> Any:
    return json.loads(parse_envelope((folder / "manifest.dsse.json").read_bytes()).payload)["previous"]


def test_a_missing_beginning_is_truncated_unless_it_was_asked_for(archive: Any) -> None:
    shutil.rmtree(archive.folders[0])
    assert verdict(archive.root, archive) == ("truncated", 1)
    assert "--since 20" in details(archive.root, archive)
    assert verdict(archive.root, archive, since=19) == ("truncated", 1)
    for since in (20, 21, 45):
        report = verify_path(archive.root, archive.log.trust, since=since)
        assert report.verdict == "verified", since
        assert "before seq 20" in report.notes[0]


def test_one_segment_is_judged_alone_unless_a_beginning_was_asked_for(archive: Any) -> None:
    assert verdict(archive.folders[1], archive) == ("verified", 0)
    assert verdict(archive.folders[1], archive, since=20) == ("verified", 0)
    assert verdict(archive.folders[1], archive, since=0) == ("truncated", 1)
    assert verdict(archive.folders[1].parent, archive) == ("truncated", 1), "a folder of segments begins at seq 0"


def test_a_missing_end_shows_against_a_kept_checkpoint_alone_and_the_report_says_so(archive: Any) -> None:
    shutil.rmtree(archive.folders[2])
    report = verify_path(archive.root, archive.log.trust)
    assert report.verdict == "verified"
    assert any("up to size 45" in text and "--known-checkpoint" in text for text in report.notes)
    assert verdict(archive.root, archive, known_checkpoint=archive.log.note(60)) == ("truncated", 1)
    report = verify_path(archive.root, archive.log.trust, known_checkpoint=archive.log.note(45))
    assert (report.verdict, report.notes) == ("verified", [])


def test_a_log_that_is_gone_shows_against_its_kept_checkpoint(archive: Any, other: Any) -> None:
    kept = [archive.log.note(60), other.log.note(30)]
    assert verdict(archive.root, archive, known_checkpoint=kept) == ("verified", 0)
    shutil.rmtree(archive.root / "ledger.example/test/other")
    assert verdict(archive.root, archive, known_checkpoint=kept) == ("missing", 1)
    shutil.rmtree(archive.root / "ledger.example/test/main")
    assert verdict(archive.root, archive, known_checkpoint=kept)[1] == 1
    assert verdict(archive.root, archive)[1] == 2


@pytest.mark.parametrize("size", [1, 19, 20, 21, 45, 59, 60])
def test_a_kept_checkpoint_of_any_size_is_held_against_the_records(archive: Any, size: int) -> None:
    assert verdict(archive.root, archive, known_checkpoint=archive.log.note(size)) == ("verified", 0)
    forged = archive.log.note(size, root=b"f" * 32)
    assert verdict(archive.root, archive, known_checkpoint=forged) == ("forked", 1)


def test_a_kept_checkpoint_before_what_is_given_is_held_where_they_meet_and_else_cannot_tell(archive: Any) -> None:
    shutil.rmtree(archive.folders[0])
    assert verdict(archive.root, archive, since=20, known_checkpoint=archive.log.note(20)) == ("verified", 0)
    forged = archive.log.note(20, root=b"f" * 32)
    assert verdict(archive.root, archive, since=20, known_checkpoint=forged) == ("forked", 1)
    assert verdict(archive.root, archive, since=20, known_checkpoint=archive.log.note(19)) == ("unverifiable", 2)


def test_a_kept_checkpoint_that_is_none_or_two_of_one_log_cannot_tell(archive: Any) -> None:
    assert verdict(archive.root, archive, known_checkpoint="nonsense") == ("unverifiable", 2)
    two = [archive.log.note(20), archive.log.note(45)]
    assert verdict(archive.root, archive, known_checkpoint=two) == ("unverifiable", 2)
    assert verdict(archive.root, archive, since=-1) == ("unverifiable", 2)


def test_a_kept_checkpoint_of_a_strangers_key_is_compared_and_named(archive: Any) -> None:
    stranger = type(archive.log)(lines=archive.log.lines)
    report = verify_path(archive.root, archive.log.trust, known_checkpoint=stranger.note(33))
    assert report.verdict == "verified"
    assert any("no key that counts" in text for text in report.notes)


@pytest.mark.parametrize("version", [1, 2])
def test_two_registries_of_one_version_are_a_fork_at_any_version(archive: Any, version: int) -> None:
    log = archive.log
    second = log.add_registry()
    twin = log.add_registry(version=1) if version == 1 else log.add_registry(created_at="2026-04-01T00:00:00.000000Z")
    chains = [[log.registry[0], second], [twin] if version == 1 else [log.registry[0], twin]]
    for folder, chain in zip(archive.folders[:2], chains, strict=True):
        keys = b"".join(item.to_bytes() + b"\n" for item in chain)
        archive.forge(folder, files={"keys.jsonl": keys})
    report = verify_path(archive.root, log.trust)
    assert any(
        item.verdict == "forked" and f"two registries of version {version}" in item.detail for item in report.failures
    ), report.as_lines()


def test_two_registries_of_one_version_in_one_file_are_a_fork(archive: Any) -> None:
    twin = archive.log.add_registry(version=1)
    keys = b"".join(item.to_bytes() + b"\n" for item in [*archive.log.registry, twin])
    archive.forge(archive.folders[0], files={"keys.jsonl": keys})
    assert "forked: 0000000000-0-20/keys.jsonl: there are two registries of version 1" in details(
        archive.folders[0], archive
    )


def test_a_manifest_of_another_registry_of_that_version_is_a_fork(archive: Any) -> None:
    archive.forge(archive.folders[0], edit=lambda value: value["key_registry"].update(sha256="0" * 64))
    assert "two registries of version 1" in details(archive.folders[0], archive)


def test_a_registry_that_ends_before_the_manifests_is_truncated(archive: Any) -> None:
    archive.forge(archive.folders[0], edit=lambda value: value["key_registry"].update(version=2))
    assert verdict(archive.folders[0], archive) == ("truncated", 1)


def test_a_link_out_of_the_archive_is_not_followed_and_said(archive: Any, tmp_path: Path) -> None:
    (archive.root / SEGMENTS / "latest").symlink_to(archive.folders[2])
    (archive.root / SEGMENTS / "round").symlink_to(archive.root, target_is_directory=True)
    assert verdict(archive.root, archive) == ("verified", 0), "a link within leads to what is looked at anyway"
    (tmp_path / "outside").mkdir()
    (archive.root / SEGMENTS / "out").symlink_to(tmp_path / "outside")
    assert verdict(archive.root, archive) == ("unverifiable", 2)


def test_a_folder_that_cannot_be_read_is_said(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive.root / SEGMENTS / "locked").mkdir()

    def scandir(path: Path) -> Any:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = os.scandir
    monkeypatch.setattr("ledger_core.log.places.os.scandir", scandir)
    assert verdict(archive.root, archive) == ("unverifiable", 2)


def test_folders_without_end_are_not_all_looked_at_and_that_is_said(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_FOLDERS", 3)
    assert verdict(archive.root, archive)[1] == 2
    assert "more than 3 folders: the rest was not looked at" in details(archive.root, archive)
    monkeypatch.setattr(places, "MAX_FOLDERS", 1_000)
    assert verdict(archive.root, archive) == ("verified", 0)


@pytest.mark.parametrize(("name", "bound"), [("keys.jsonl", "MAX_KEYS_BYTES"), ("manifest.json", "MAX_MANIFEST_BYTES")])
def test_a_file_past_its_bound_is_as_good_as_none(
    archive: Any, monkeypatch: pytest.MonkeyPatch, name: str, bound: str
) -> None:
    (file,) = archive.folders[0].glob(f"{name.partition('.')[0]}*")
    for size, is_sound in ((file.stat().st_size, True), (file.stat().st_size - 1, False)):
        for module in (registries, places, verify_segment):
            if hasattr(module, bound):
                monkeypatch.setattr(module, bound, size)
        assert (verdict(archive.folders[0], archive)[1] == 0) is is_sound


def test_the_report_names_the_trust_file_and_the_roots(archive: Any, tmp_path: Path) -> None:
    pinned = tmp_path / "trust.json"
    pinned.write_text(json.dumps(archive.log.trust.as_json()))
    report = verify_path(archive.root, pinned)
    root = archive.log.root_key.public_key.key_id
    assert report.as_json()["trust"] == {
        "file": str(pinned),
        "origin": "ledger.example/test/*",
        "threshold": 1,
        "roots": [root],
        "registry_version": 0,
    }
    assert f"trusts 1 of the roots {root[:16]}, pinned by {pinned}" in report.as_lines()[1]


def test_a_checkpoint_alone_at_the_top_does_not_hide_the_segments_below(archive: Any) -> None:
    """A stray file makes a folder look like a segment: that can only fail."""
    (archive.root / "checkpoint").write_text(archive.log.note(60))
    assert verdict(archive.root, archive)[1] == 1
