"""Versions of manifests that are nobody's of ours: reading them ends, however many folders hold however many."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, BinaryIO

from ledger_core.base.objects.port import StoredVersion, Surveyed
from ledger_core.evidence.check.archive import Archive
from ledger_core.evidence.check.model import Findings
from ledger_core.evidence.export.archive import (
    FEW_VERSIONS_TRIED,
    MAX_FOLDERS_TRIED_WELL,
    MAX_VERSIONS_TRIED,
    survey_segments,
)
from ledger_core.evidence.export.left import left_segment
from ledger_core.evidence.export.write import Tip
from ledger_core.log.merkle import Frontier
from ledger_core.log.record import NO_PREV
from ledger_core.log.segment import MANIFEST_FILE, segment_folder

ORIGIN = "ledger.example/test/main"
FOLDERS = MAX_FOLDERS_TRIED_WELL + 50
VERSIONS = [
    StoredVersion(version_id=str(number), size_bytes=4, written_at=datetime(2026, 3, 30, tzinfo=UTC))
    for number in range(MAX_VERSIONS_TRIED + 10)
]


class Junkyard:
    """A store with many folders in the place of the next segment, each of many manifests that are none."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()

    def survey(self, prefix: str = "") -> Iterator[Surveyed]:
        for number in range(FOLDERS):
            name = f"{segment_folder(ORIGIN, date(2026, 3, 30), 1, 0, 1 + number)}/{MANIFEST_FILE}"
            if name.startswith(prefix):
                yield name, VERSIONS, []

    def versions(self, name: str) -> Sequence[StoredVersion]:
        return VERSIONS

    def open(self, name: str, version_id: str | None = None) -> BinaryIO:
        self.opened[name] += 1
        return io.BytesIO(b"mine")


def require_bounded(store: Junkyard) -> None:
    assert Counter(store.opened.values()) == {
        MAX_VERSIONS_TRIED: MAX_FOLDERS_TRIED_WELL, FEW_VERSIONS_TRIED: FOLDERS - MAX_FOLDERS_TRIED_WELL,
    }  # fmt: skip


def test_the_check_reads_all_versions_of_some_folders_and_two_of_the_rest() -> None:
    store: Any = Junkyard()
    Archive(store, ORIGIN, SimpleNamespace(), Findings())  # type: ignore[arg-type]
    require_bounded(store)


def test_an_export_reads_all_versions_of_some_folders_and_two_of_the_rest() -> None:
    store: Any = Junkyard()
    desk: Any = SimpleNamespace(runtime=SimpleNamespace(archive=store), ring=SimpleNamespace(), origin=ORIGIN)
    tip = Tip(frontier=Frontier(), last_leaf=NO_PREV, cutoff="", previous=None)
    assert left_segment(desk, survey_segments(store, ORIGIN), tip, size=9, first=None) is None
    require_bounded(store)
