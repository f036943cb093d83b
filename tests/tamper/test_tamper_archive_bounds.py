"""What a thief of the archive's write key costs and hides: bounds on what is read, and what is said beyond them.

Real S3 service with object lock, real database, real signing proxy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ledger_core.base.objects.s3 import S3Store
from ledger_core.book.kinds.export import RecordedSegment
from ledger_core.book.sequencer import archived
from ledger_core.book.sequencer.archived import newest_archived
from ledger_core.errors import ArchiveRefused
from ledger_core.evidence.anchor import anchor_checkpoints
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.archive import MAX_FOREIGN_LISTED, recorded_manifest, survey_segments
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.evidence.replay.replay import replay
from ledger_core.log import segments_of
from ledger_core.log.bucket import Bucket, ObjectVersion
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.segment import CHECKPOINT_FILE, KEYS_FILE, MANIFEST_FILE
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from tests.conftest import ArchiveBucket
from tests.tamper.house import BOOK, SECOND, THIRD, House

pytestmark = pytest.mark.tamper


@pytest.fixture
def house(settings: Settings, bucket: ArchiveBucket) -> Iterator[House]:
    with open_runtime(settings.model_copy(update={"archive": bucket.settings})) as runtime:
        yield House(runtime, bucket)


def test_a_thief_of_the_archives_write_key_who_uses_up_the_bound_lets_nobody_take_a_part_for_the_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders in the place of the next night, laid before it: what was not looked at may be ours."""
    end = house.first.next_seq
    for number in range(12):
        house.put(f"{house.folder(2, end, 10**6 + number, '2026/03/30')}/{MANIFEST_FILE}", b"mine")
    time.sleep(2)  # the service's times are whole seconds
    second = house.export(SECOND)
    house.require_told(segments=2, nights=[second])
    monkeypatch.setattr(segments_of, "MAX_REFUSED", 10)
    report = house.verify()
    assert (report.segments, report.exit_status) == (1, 1)
    told = [item for item in report.failures if item.verdict == "unverifiable"]
    assert [item.detail.split(":")[0] for item in told] == ["3 folders were not looked at in full"]
    with pytest.raises(ArchiveRefused, match="segments of ours may be among them"):
        replay(house.runtime, house.bucket.place, proceed=True)


def test_a_night_whose_answers_are_lost_writes_nothing_over_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client repeats a write whose answer did not come, and is told that the name is taken: by us."""
    put = S3Store._put

    def losing(self: S3Store, key: str, data: Any, digest: bytes, **condition: str) -> str | None:
        done = put(self, key, data, digest, **condition)
        return None if condition else done

    monkeypatch.setattr(S3Store, "_put", losing)
    second = house.export(SECOND)
    anchor_checkpoints(house.runtime, {})
    monkeypatch.undo()
    assert second.foreign == ()
    report = house.verify()
    assert (report.verdict, report.segments) == ("verified", 2), report.as_lines()
    assert check_book(house.runtime, BOOK).sound
    house.sell()
    assert house.export(THIRD).foreign == ()


def test_a_thief_of_the_archives_write_key_lays_our_own_manifest_over_ours(house: House) -> None:
    """The same bytes in another version: the recorded one is looked for among all that are the same."""
    second = house.export(SECOND)
    folder = second.uri.removeprefix(f"{house.runtime.archive.uri}/")
    with house.runtime.archive.open(f"{folder}/{MANIFEST_FILE}") as source:
        data = source.read()
    for _ in range(3):
        house.put(f"{folder}/{MANIFEST_FILE}", data)
    house.require_told(segments=2, nights=[house.export(SECOND)])
    versions = house.runtime.archive.versions(f"{folder}/{MANIFEST_FILE}")
    named = RecordedSegment(
        seq=0,
        segment=2,
        closed_on=SECOND.isoformat(),
        first_seq=second.first_seq,
        next_seq=second.next_seq,
        manifest_sha256=second.manifest_sha256,
        uri=second.uri,
    )
    ring = pinned_ring(house.runtime, house.origin)
    for version in versions:
        found = recorded_manifest(
            house.runtime.archive, house.origin, named, SECOND, ring, version_id=version.version_id
        )
        assert found is not None
        assert found.version_id == version.version_id
    first = recorded_manifest(house.runtime.archive, house.origin, named, SECOND, ring, version_id="of-nobody")
    assert first is not None
    assert first.version_id == versions[0].version_id


def test_a_reader_who_may_list_and_not_read_opens_no_book_that_may_be_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right that is lacking is no empty archive: what cannot be read may say that the database went back in time."""
    settings, ring = house.runtime.settings, pinned_ring(house.runtime, house.origin)
    found = newest_archived(settings, house.origin, lambda: ring)
    assert found is not None
    assert found.size == house.first.next_seq

    def denied(self: Bucket, version: ObjectVersion) -> Any:
        raise Unreadable(f"s3://{self.name}/{version.key} is there and cannot be read: AccessDenied.")

    monkeypatch.setattr(Bucket, "open", denied)
    with pytest.raises(Unreadable, match="AccessDenied"):
        newest_archived(settings, house.origin, lambda: ring)


def test_junk_of_a_thief_of_the_archives_write_key_costs_the_opening_of_a_book_a_bounded_number_of_reads(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest of ours is among what was written first; the proxy at its start looks at more."""
    time.sleep(2)  # the service's times are whole seconds
    for number in range(30):
        house.put(f"{house.folder(50 + number, 0, 10**6 + number, '2026/04/01')}/{CHECKPOINT_FILE}", b"mine")
    read: list[str] = []
    opened = Bucket.open

    def counted(self: Bucket, version: ObjectVersion) -> Any:
        read.append(version.key)
        return opened(self, version)

    monkeypatch.setattr(Bucket, "open", counted)
    monkeypatch.setattr(archived, "MAX_NOTES_TRIED", 10)
    ring = pinned_ring(house.runtime, house.origin)
    found = newest_archived(house.runtime.settings, house.origin, lambda: ring)
    assert found is not None
    assert (found.size, len(read)) == (house.first.next_seq, 10)


def test_what_a_survey_keeps_of_names_of_others_does_not_grow_with_them(house: House) -> None:
    for number in range(MAX_FOREIGN_LISTED + 15):
        house.put(f"{house.origin}/segments/junk-{number}", b"mine")
        for _ in range(2 if number < 5 else 0):
            house.put(f"{house.first_folder}/{KEYS_FILE}", b"mine")
    found = survey_segments(house.runtime.archive, house.origin)
    assert len(found.strangers) == MAX_FOREIGN_LISTED
    second = house.export(SECOND)
    assert len(second.foreign) == MAX_FOREIGN_LISTED + 1
    assert second.foreign[-1] == "and 16 more"
