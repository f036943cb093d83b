"""Where segments lie: what is found below a folder, in which order and of which log, and which place is a wrong one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log import places
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.places import find_on_disk, why_misplaced
from ledger_core.log.segment import Manifest, parse_manifest
from ledger_core.log.verifier import verify_path

NAME = "0000000000-0-20"
HOME = "ledger.example/test/main"
"""Signed of the first segment: `ledger.example/test/main/segments/2026/01/31/0000000000-0-20`."""


@pytest.fixture
def manifest(archive: Any) -> Manifest:
    found = parse_manifest(parse_envelope((archive.folders[0] / "manifest.dsse.json").read_bytes()).payload)
    assert found.folder == f"{HOME}/segments/2026/01/31/{NAME}"
    return found


@pytest.mark.parametrize(
    ("folder", "top", "why"),
    [
        # As it was signed, or carried away, whole or in parts, or under a name of the caller's own:
        (f"/x/{HOME}/segments/2026/01/31/{NAME}", "/x", None),
        (f"/{HOME}/segments/2026/01/31/{NAME}", "/", None),
        (f"/x/segments/2026/01/31/{NAME}", "/x", None),
        (f"/x/2026/01/31/{NAME}", "/x", None),
        (f"/x/01/31/{NAME}", "/x", None),
        (f"/x/31/{NAME}", "/x", None),
        (f"/x/{NAME}", "/x", None),
        ("/x/visit", "/x", None),
        ("/x/01/31/visit", "/x", None),
        (f"/a/b/c/d/2026/01/31/{NAME}", "/", None),
        (f"/ledger.example/test/b/c/d/e/f/{NAME}", "/", None),
        ("/", "/", None),
        # Another segment's name, and no segment's where the days stand above it:
        ("/x/0000000001-0-20", "/x", "the manifest is that of"),
        ("/x/0000000000-0-21", "/x", "the manifest is that of"),
        ("/x/2026/01/31/visit", "/x", "the manifest is that of"),
        # Another day, month or year, as far as they are spelt:
        (f"/x/30/{NAME}", "/x", "it lies under 30,"),
        (f"/x/02/31/{NAME}", "/x", "it lies under 02/31,"),
        (f"/x/2025/01/31/{NAME}", "/x", "it lies under 2025/01/31,"),
        (f"/x/{HOME}/segments/2026/01/30/{NAME}", "/x", "it lies under 2026/01/30,"),
        # Another log's place: all of the layout below what was given, or something in common with an origin's place.
        (f"/a/b/other/segments/2026/01/31/{NAME}", "/", "it lies in the place of a/b/other,"),
        (f"/a/b/other/segments/2026/01/31/{NAME}", "/a", None),
        (f"/a/b/other/segments/2026/01/31/{NAME}", "/a/b/other", None),
        (f"/x/ledger.example/prod/main/segments/2026/01/31/{NAME}", "/x/ledger.example/prod/main", "in the place of"),
        (f"/x/ledger.example/b/c/segments/2026/01/31/{NAME}", "/x/ledger.example/b", "it lies in the place of"),
        (f"/x/a/test/c/segments/2026/01/31/{NAME}", "/x/a/test/c", "it lies in the place of a/test/c,"),
        (f"/x/a/b/main/segments/2026/01/31/{NAME}", "/x/a/b/main", None),
    ],
)
def test_a_place_is_wrong_where_it_spells_something_else_than_was_signed(
    manifest: Manifest, folder: str, top: str, why: str | None
) -> None:
    found = why_misplaced(Path(folder), Path(top), manifest)
    assert (found is None) is (why is None), found
    assert why is None or why in str(found)
    assert why is None or manifest.folder in str(found)


def found(path: Path) -> list[tuple[str | None, list[str]]]:
    return [(log.origin, [folder.name for folder in log.folders]) for log in find_on_disk(path).logs]


def test_a_segment_by_its_name_or_by_its_files_is_one_and_judged_alone(archive: Any, tmp_path: Path) -> None:
    archive.folders[0].rename(archive.root / "visit")
    empty = tmp_path / "empty" / NAME
    empty.mkdir(parents=True)
    for path in (archive.root / "visit", archive.folders[1], empty):
        single = find_on_disk(path)
        assert (single.is_single, [log.folders for log in single.logs]) == (True, [[path]])
    for path in (archive.root, tmp_path / "empty"):
        assert not find_on_disk(path).is_single
    assert found(tmp_path / "empty") == [(None, [NAME])], "that its files are gone is a finding"


def test_a_folder_is_called_what_it_is_called_from_wherever_it_is_asked_for(
    archive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / NAME
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert find_on_disk(Path()).is_single
    moved = archive.folders[0].parent.with_name("30")
    archive.folders[0].parent.rename(moved)
    monkeypatch.chdir(moved)
    assert verify_path(Path(NAME), archive.log.trust).verdict == "forked"
    (tmp_path / "0000000007-0-20").symlink_to(archive.folders[1])
    assert verify_path(tmp_path / "0000000007-0-20", archive.log.trust).verdict == "forked"


def test_what_lies_inside_a_segment_is_not_another_one(archive: Any) -> None:
    shutil.copytree(archive.folders[1], archive.folders[0] / archive.folders[1].name)
    assert found(archive.root) == [(archive.log.origin, [folder.name for folder in archive.folders])]


def test_links_within_are_within_though_the_whole_is_reached_by_a_link(archive: Any, tmp_path: Path) -> None:
    (archive.root / "latest").symlink_to(archive.folders[2])
    (tmp_path / "link").symlink_to(archive.root)
    assert find_on_disk(tmp_path / "link").problems == []
    (archive.root / "out").symlink_to(tmp_path)
    assert [place for place, _ in find_on_disk(tmp_path / "link").problems] == [str(tmp_path / "link" / "out")]


def test_the_walk_ends_at_its_bound_and_says_so_once(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    count = sum(1 for path in archive.root.rglob("*") if path.is_dir()) + 1
    for bound, problems in ((count, 0), (count - 1, 1), (2, 1)):
        monkeypatch.setattr(places, "MAX_FOLDERS", bound)
        assert len(find_on_disk(archive.root).problems) == problems, bound


def test_segments_stand_in_the_order_of_their_records_whatever_they_are_called(archive: Any, tmp_path: Path) -> None:
    for name, folder in zip(("c", "b", "a"), archive.folders, strict=True):
        shutil.copytree(folder, tmp_path / "named" / name)
    assert found(tmp_path / "named") == [(archive.log.origin, ["c", "b", "a"])]


def test_one_whose_manifest_is_gone_stands_where_its_name_says_and_one_without_a_name_last(archive: Any) -> None:
    names = [folder.name for folder in archive.folders]
    (archive.folders[1] / "manifest.dsse.json").unlink()
    nameless = archive.folders[0].with_name("visit")
    nameless.mkdir()
    (nameless / "checkpoint").write_text("x")
    (archive.folders[2] / "manifest.dsse.json").write_bytes(b"nonsense")
    assert found(archive.root) == [(archive.log.origin, [*names, "visit"])]


def test_a_folder_that_does_not_say_its_log_lies_with_its_neighbours_else_in_the_only_log(
    archive: Any, other: Any, tmp_path: Path
) -> None:
    ours, theirs = archive.log.origin, other.log.origin
    first, second = ([folder.name for folder in each.folders] for each in (archive, other))
    (other.folders[1] / "manifest.dsse.json").unlink()
    stray = archive.root / "stray" / NAME
    stray.mkdir(parents=True)
    assert found(archive.root) == [(None, [NAME]), (ours, first), (theirs, second)]
    shutil.rmtree(archive.root / "ledger.example/test/other")
    assert found(archive.root) == [(ours, [first[0], NAME, *first[1:]])]


def test_two_logs_in_one_folder_are_two(archive: Any, other: Any, tmp_path: Path) -> None:
    for each in (archive, other):
        for folder in each.folders:
            shutil.copytree(folder, tmp_path / "flat" / f"{each.book}-{folder.name}")
    assert [(origin, len(folders)) for origin, folders in found(tmp_path / "flat")] == [
        (archive.log.origin, 3),
        (other.log.origin, 2),
    ]
