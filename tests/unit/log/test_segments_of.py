"""Segments found in a bucket that somebody else fills: what was not looked at is said, and nothing is hidden by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log import object_tree, segments_of
from ledger_core.log.bucket import Bucket, ObjectVersion
from ledger_core.log.findings import EDITED, FOREIGN, MAX_FAILURES, UNVERIFIABLE, Failure, VerificationReport
from ledger_core.log.object_tree import ObjectPlace, ObjectTree
from ledger_core.log.registries import Registries
from ledger_core.log.segment import MANIFEST_FILE
from ledger_core.log.segments_of import find_segments

BEGAN = datetime(2026, 3, 30, tzinfo=UTC)
UNLOOKED = "were not looked at in full: segments of ours may be among them"


class Shelf(Bucket):
    """A bucket that holds what lies below a folder, each object as often as `copies` says; written in order of time."""

    def __init__(self, root: Path) -> None:
        super().__init__("some-bucket")
        self.root = root
        self.copies: dict[str, list[bytes]] = {}
        self.written: dict[str, datetime] = {}
        self.read: list[str] = []

    def versions(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, list[ObjectVersion]]]:
        keys = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        for key in sorted(keys | self.copies.keys()):
            if key.startswith(prefix) and key > after:
                found = self._of(key)
                yield (
                    key,
                    [
                        ObjectVersion(
                            key=key,
                            version_id=str(number),
                            size_bytes=len(data),
                            is_marker=False,
                            written_at=self.written.get(key, BEGAN),
                        )
                        for number, data in reversed(list(enumerate(found)))
                    ],
                )

    def read_anybodys(self, version: ObjectVersion, limit_bytes: int) -> bytes | None:
        self.read.append(version.key)
        data = self._of(version.key)[int(version.version_id)]
        return data if len(data) <= limit_bytes else None

    def _of(self, key: str) -> list[bytes]:
        path = self.root / key
        return [*self.copies.get(key, ()), *([path.read_bytes()] if path.is_file() else [])]


def place(shelf: Shelf) -> ObjectPlace:
    return ObjectPlace(ObjectTree(shelf, ""), "")


def told(found: Any) -> list[str]:
    return [why for _, why in found.problems]


@pytest.fixture
def shelf(archive: Any) -> Shelf:
    """Three segments of ours, the last one written a day after what else is there."""
    made = Shelf(archive.root)
    made.written[f"{key_of(archive, 2)}/{MANIFEST_FILE}"] = BEGAN + timedelta(days=1)
    return made


def key_of(archive: Any, number: int) -> str:
    return archive.folders[number].relative_to(archive.root).as_posix()  # type: ignore[no-any-return]


def planted(archive: Any, shelf: Shelf, count: int) -> None:
    """Lay folders in the place of the last segment, before it was written."""
    above = key_of(archive, 2).rpartition("/")[0]
    number = archive.folders[2].name.split("-")[0]
    for end in range(100, 100 + count):
        shelf.copies[f"{above}/{number}-45-{end}/{MANIFEST_FILE}"] = [b"mine"]


def test_folders_in_the_place_of_ours_that_use_up_the_bound_are_said_to_hide_segments(
    archive: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(archive, shelf, 20)
    found = find_segments(place(shelf), Registries(archive.log.trust))
    assert (told(found), len(found.logs[0].folders)) == ([], 3)
    monkeypatch.setattr(segments_of, "MAX_REFUSED", 10)
    found = find_segments(place(shelf), Registries(archive.log.trust))
    assert told(found) == [f"11 folders {UNLOOKED}"]
    assert len(found.logs[0].folders) == 2


def test_versions_under_ours_that_use_up_the_bound_are_said_to_hide_it(
    archive: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.copies[f"{key_of(archive, 2)}/{MANIFEST_FILE}"] = [b"mine"] * 20
    assert len(find_segments(place(shelf), Registries(archive.log.trust)).logs[0].folders) == 3
    for name, most in (("MAX_REFUSED", 10), ("MAX_VERSIONS_TRIED", 20)):
        with monkeypatch.context() as patch:
            patch.setattr(segments_of, name, most)
            found = find_segments(place(shelf), Registries(archive.log.trust))
        assert (told(found), len(found.logs[0].folders)) == ([f"1 folders {UNLOOKED}"], 2), name


def test_folders_beyond_those_that_are_kept_are_said_to_hide_segments(
    archive: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_tree, "MAX_FOLDERS", 2)
    assert told(find_segments(place(shelf), Registries(archive.log.trust))) == [f"1 folders {UNLOOKED}"]


def test_manifests_of_a_log_that_nobody_pins_are_read_up_to_the_bound(
    archive: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_of, "MAX_REFUSED", 1)
    unpinned = replace(archive.log.trust, origin="elsewhere.example/prod")
    found = find_segments(place(shelf), Registries(unpinned))
    assert len({key for key in shelf.read if key.endswith(MANIFEST_FILE)}) == 1
    assert told(found) == [f"2 folders {UNLOOKED}"]


def failures(verdict: str, count: int) -> list[Failure]:
    return [Failure(verdict=verdict, seq=None, where=f"{verdict}/{number}", detail="x") for number in range(count)]


@pytest.mark.parametrize("beside", [MAX_FAILURES, 3 * MAX_FAILURES])
@pytest.mark.parametrize("wrong", [EDITED, UNVERIFIABLE])
def test_any_number_of_objects_beside_a_log_hides_nothing_that_is_wrong_with_it(beside: int, wrong: str) -> None:
    report = VerificationReport(path="x")
    for failure in failures(FOREIGN, beside):
        report.add(failure)
    assert report.is_foreign_alone
    assert (report.verdict, report.suppressed, report.suppressed_foreign) == (
        FOREIGN, beside - MAX_FAILURES, beside - MAX_FAILURES,
    )  # fmt: skip
    part = VerificationReport(path="x")
    for failure in failures(wrong, 3):
        part.add(failure)
    report.take(part, "a log")
    assert [item.verdict for item in report.failures].count(wrong) == 3
    assert len(report.failures) == MAX_FAILURES
    assert report.verdict == (wrong if wrong == EDITED else FOREIGN)
    assert not report.is_foreign_alone
    assert report.suppressed == report.suppressed_foreign == beside + 3 - MAX_FAILURES


def test_failures_of_a_log_that_are_not_listed_are_not_taken_for_foreign() -> None:
    report, part = VerificationReport(path="x"), VerificationReport(path="x")
    for failure in failures(EDITED, MAX_FAILURES + 1):
        part.add(failure)
    report.take(part, "a log")
    assert (report.suppressed, report.suppressed_foreign, report.is_foreign_alone) == (1, 0, False)


def test_what_was_written_first_of_all_is_found_behind_folders_beyond_the_bound(
    archive: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lay there before a thief came is read, and still it is said that there may be more."""
    planted(archive, shelf, 20)
    shelf.written.clear()
    shelf.written |= dict.fromkeys(shelf.copies, BEGAN + timedelta(days=2))
    monkeypatch.setattr(segments_of, "MAX_REFUSED", 10)
    found = find_segments(place(shelf), Registries(archive.log.trust))
    assert len(found.logs[0].folders) == 3
    assert told(found) == [f"10 folders {UNLOOKED}"]
