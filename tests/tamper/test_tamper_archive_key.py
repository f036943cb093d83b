"""A thief of the archive's write key lays what he likes where he likes: each night is written, and told apart from his.

He can neither delete nor sign. Real S3 service with object lock, real database, real signing proxy.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ledger_core.book.ledger import Ledger
from ledger_core.errors import DependencyError
from ledger_core.evidence.anchor import anchor_checkpoints, anchor_name
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.plan import forget_plan
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.log.bucket import Bucket
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.segment import CHECKPOINT_FILE, FILES, KEYS_FILE, MANIFEST_FILE, RECORDS_FILE, TIMESTAMP_FILE
from ledger_core.ports import Ask
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from ledger_core.signing.anchors import newest_anchors
from tests.conftest import ArchiveBucket
from tests.tamper.house import BOOK, FIRST, ME, SECOND, THIRD, House

pytestmark = pytest.mark.tamper


@pytest.fixture
def house(settings: Settings, bucket: ArchiveBucket) -> Iterator[House]:
    with open_runtime(settings.model_copy(update={"archive": bucket.settings})) as runtime:
        yield House(runtime, bucket)


def higher_number(house: House) -> None:
    for file in FILES:
        house.put(f"{house.folder(99, 5000, 6000, '2026/03/31')}/{file}", house.content(file))


def next_number(house: House) -> None:
    end = house.first.next_seq
    for file in FILES:
        house.put(f"{house.folder(2, end, end + 1, '2026/03/30')}/{file}", house.content(file))


def next_number_that_fits(house: House) -> None:
    end = house.first.next_seq
    forged = house.altered_manifest(segment=2, first_seq=end, next_seq=end + 1)
    house.put(f"{house.folder(2, end, end + 1, '2026/03/29')}/{MANIFEST_FILE}", forged)


def a_log_of_nobody_here(house: House) -> None:
    forged = house.altered_manifest(origin="evil.example/prod/main")
    name = house.first_folder.rpartition("/")[2]
    house.put(f"evil.example/prod/main/segments/2026/03/30/{name}/{MANIFEST_FILE}", forged)


def half_of_a_day_to_come(house: House) -> None:
    house.put(f"{house.folder(2, house.first.next_seq, house.size, '2031/01/01')}/{RECORDS_FILE}", b"mine")


def half_of_the_day_that_is_next(house: House) -> None:
    house.put(f"{house.folder(2, house.first.next_seq, 10**15, '2026/03/31')}/{CHECKPOINT_FILE}", b"mine")


def another_of_a_recorded_number(house: House) -> None:
    for file in FILES:
        house.put(f"{house.folder(1, 0, house.first.next_seq, '2025/01/01')}/{file}", house.content(file))


def a_copy_of_all_of_it(house: House) -> None:
    for file in FILES:
        house.put(f"copy/{house.first_folder}/{file}", house.content(file))


def names_of_every_sort(house: House) -> None:
    for name in ("a b", "%2e%2e", "…", "x&<y>", "\t", "'\"", "*", "-", "+", "ÿ", "\u202egnp", "0" * 200):
        house.put(f"{house.origin}/segments/{name}", b"mine")
        house.put(f"{house.origin}/checkpoints/{name}", b"mine")


def versions_of_the_first_night(house: House) -> None:
    for file in FILES:
        for number in range(3):
            house.put(f"{house.first_folder}/{file}", b"mine %d" % number)
        house.bucket.client.delete_object(Bucket=house.bucket.name, Key=f"books/{house.first_folder}/{file}")


PLANTS: list[Callable[[House], None]] = [
    higher_number,
    next_number,
    next_number_that_fits,
    half_of_a_day_to_come,
    half_of_the_day_that_is_next,
    another_of_a_recorded_number,
    names_of_every_sort,
    versions_of_the_first_night,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_thief_of_the_archives_write_key_stops_no_night_with_what_he_plants(
    house: House, plant: Callable[[House], None]
) -> None:
    plant(house)
    nights = [house.export(SECOND)]
    house.sell()
    nights.append(house.export(THIRD))
    assert [(night.segment, night.created, night.closed_on) for night in nights] == [
        (2, True, SECOND),
        (3, True, THIRD),
    ]
    house.require_told(segments=3, nights=nights)
    assert not house.export(THIRD).created


@pytest.mark.parametrize("plant", [a_copy_of_all_of_it, a_log_of_nobody_here], ids=lambda plant: plant.__name__)
def test_a_thief_of_the_archives_write_key_lays_a_log_beside_ours(house: House, plant: Callable[[House], None]) -> None:
    plant(house)
    night = house.export(SECOND)
    report = house.verify()
    assert {item.verdict for item in report.failures} == {"foreign"}, report.as_lines()
    assert (report.segments, night.segment) == (2, 2)


@pytest.mark.parametrize("file", [*FILES, TIMESTAMP_FILE])
@pytest.mark.parametrize("versions", [1, 25])
def test_a_thief_of_the_archives_write_key_is_first_under_the_names_of_a_night_to_come(
    house: House, file: str, versions: int
) -> None:
    """What is written goes beneath no version of his: the manifest names ours, and so does the next one."""
    for number in range(versions):
        house.put(f"{house.next_folder}/{file}", b"mine %d" % number)
    second = house.export(SECOND)
    assert second.uri.endswith(house.next_folder)
    for number in range(versions):
        house.put(f"{house.next_folder}/{file}", b"mine again %d" % number)
    house.require_told(segments=2, nights=[second])
    house.sell()
    third = house.export(THIRD)
    report = house.require_told(segments=3, nights=[third])
    assert any(file in item.where for item in report.failures)


@pytest.mark.parametrize("file", [CHECKPOINT_FILE, KEYS_FILE])
def test_a_thief_of_the_archives_write_key_lays_the_right_bytes_there_without_a_lock(house: House, file: str) -> None:
    """They would be gone when he likes: what a manifest names is locked for as long as it says."""
    data = house.content(file)
    if file == CHECKPOINT_FILE:
        with house.runtime.engine.connect() as connection:
            note = connection.exec_driver_sql("select note from ledger.checkpoints order by size desc limit 1").scalar()
        data = str(note).encode()
    house.put(f"{house.next_folder}/{file}", data)
    second = house.export(SECOND)
    reader = Bucket(house.bucket.name, endpoint=house.bucket.server.endpoint)
    versions = reader.versions_of(f"books/{house.next_folder}/{file}")
    assert len(versions) == 2
    lock = reader.ask("get_object_retention", Key=versions[0].key, VersionId=versions[0].version_id)["Retention"]
    assert lock["Mode"] == "COMPLIANCE"
    house.require_told(segments=2, nights=[second])


def test_a_thief_of_the_archives_write_key_steers_no_version_by_an_unsigned_manifest(house: House) -> None:
    """What no key signed names no version: neither of the manifest before it, nor of its own files."""
    second = house.export(SECOND)
    sha = second.manifest_sha256
    previous = {"manifest_sha256": sha, "segment": 2, "version_id": "01JNOSUCHVERSION0000000000"}
    end = second.next_seq
    forged = house.altered_manifest(segment=3, first_seq=end, next_seq=end + 1, previous=previous)
    house.put(f"{house.folder(3, end, end + 1, '2026/04/01')}/{MANIFEST_FILE}", forged)
    objects = json.loads(b64decode(json.loads(house.content(MANIFEST_FILE))["payload"]))["objects"]
    steering = house.altered_manifest(objects=[{**item, "version_id": "01JNOSUCH"} for item in objects])
    house.put(f"{house.first_folder}/{MANIFEST_FILE}", steering)
    report = house.verify()
    assert {item.verdict for item in report.failures} == {"foreign"}, report.as_lines()
    assert (report.segments, report.size) == (2, second.next_seq)


def test_a_thief_of_the_archives_write_key_hides_no_anchor_among_his_own(house: House) -> None:
    """The proxy's start, `verify` and `check` find the newest that is signed behind any number of others."""
    (anchored,) = anchor_checkpoints(house.runtime, {})
    note = house.content(CHECKPOINT_FILE)
    for number in range(40):
        house.put(f"{house.folder(50 + number, 0, 10**6 + number, '2026/04/01')}/{CHECKPOINT_FILE}", note)
    for number in range(600):
        house.put(f"{house.origin}/checkpoints/{10**6 + number:016d}", note)
    found = newest_anchors(house.bucket.place, pinned_ring(house.runtime, house.origin), lambda origin: True)
    assert {origin: item.size for origin, item in found.items()} == {house.origin: house.size}
    report = house.verify()
    assert any(f"at size {house.size} is anchored here" in text for text in report.notes)
    assert report.verdict == "foreign"
    assert anchored == anchor_name(house.origin, house.size)
    assert check_book(house.runtime, BOOK).codes == {"archive_foreign"}


def test_a_thief_of_the_archives_write_key_is_first_under_the_names_of_anchors_to_come(house: House) -> None:
    name = anchor_name(house.origin, house.size)
    for number in range(3):
        house.put(name, b"mine %d" % number)
    assert anchor_checkpoints(house.runtime, {}) == [name]
    house.put(name, b"mine again")
    assert anchor_checkpoints(house.runtime, {}) == []
    found = newest_anchors(house.bucket.place, pinned_ring(house.runtime, house.origin), lambda origin: True)
    assert found[house.origin].size == house.size
    report = house.verify()
    assert {item.verdict for item in report.failures} == {"foreign"}, report.as_lines()
    assert any(f"at size {house.size} is anchored here" in text for text in report.notes)
    assert check_book(house.runtime, BOOK).codes == {"archive_foreign"}


def test_a_night_that_was_not_recorded_is_found_among_folders_of_a_thief_of_the_archives_write_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the note of what was begun is lost: its manifest is signed, and follows on the last."""

    def dying(*_: Any, **__: Any) -> Any:
        raise DependencyError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", dying)
        with pytest.raises(DependencyError):
            house.export(SECOND)
    forget_plan(house.runtime.home, BOOK)
    end = house.first.next_seq
    for number in range(30):
        forged = house.altered_manifest(segment=2, first_seq=end, next_seq=end + 1 + number)
        house.put(f"{house.folder(2, end, end + 1 + number, '2026/03/01')}/{MANIFEST_FILE}", forged)
    third = house.export(THIRD)
    assert third.segment == 3
    report = house.require_told(segments=3, nights=[third])
    assert len(report.failures) == 30


def test_a_half_night_is_gone_on_with_though_a_thief_of_the_archives_write_key_wrote_over_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, puts = Bucket.ask, 0

    def dying(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        nonlocal puts
        puts += operation == "put_object"
        if puts == 2:
            raise DependencyError("the service went away")
        return ask(self, operation, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "ask", dying)
        with pytest.raises(DependencyError):
            house.export(SECOND)
    for file in FILES:
        house.put(f"{house.next_folder}/{file}", b"mine")
    house.sell()
    third = house.export(THIRD)
    assert third.segment == 3, "the half one was ended under its own name first"
    house.require_told(segments=3, nights=[third])


def test_an_object_that_its_writer_locked_up_is_foreign_and_one_of_ours_is_no_verdict(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved to where it must be fetched from first, or enciphered: whoever reads it is refused."""
    second = house.export(SECOND)
    end = second.next_seq
    locked_up = [
        f"{house.folder(3, end, end + 1, '2026/03/01')}/{MANIFEST_FILE}",
        f"{house.origin}/checkpoints/{10**6:016d}",
    ]
    for name in locked_up:
        house.put(name, b"mine")
    ask = Bucket.ask
    ours = f"{house.first_folder}/{RECORDS_FILE}"

    def refusing(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation == "get_object" and arguments["Key"].removeprefix("books/") in locked_up:
            raise Unreadable("it is there and cannot be read: InvalidObjectState.")
        return ask(self, operation, **arguments)

    monkeypatch.setattr(Bucket, "ask", refusing)
    third = house.export(THIRD)
    house.require_told(segments=3, nights=[third])
    newest_anchors(house.bucket.place, pinned_ring(house.runtime, house.origin), lambda origin: True)
    locked_up.append(ours)
    report = house.verify()
    assert any(item.verdict == "unverifiable" for item in report.failures), report.as_lines()
    assert not {"missing", "edited"} & {item.verdict for item in report.failures}


def test_junk_in_the_thousands_costs_time_and_no_verdict(house: House) -> None:
    """Laid past the service, for speed: objects that no writer locked, of names that no writer of ours gives."""
    data = house.bucket.server.folder / "data" / house.bucket.name / "books"
    end = house.first.next_seq
    for number in range(3000):
        for name in (
            house.folder(2, end, end + 1 + number, "0001/01/01") + f"/{CHECKPOINT_FILE}",
            f"{house.origin}/segments/junk-{number}",
            f"{house.origin}/checkpoints/{10**9 + number:016d}",
        ):
            path = data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    began = time.monotonic()
    second = house.export(SECOND)
    house.require_told(segments=2, nights=[second])
    assert time.monotonic() - began < 240


def test_a_thief_of_the_archives_write_key_keeps_no_file_archive_from_going_on(
    settings: Settings,
) -> None:
    """On a disk whoever writes can delete too; what he plants beside the nights stops none of them all the same."""
    with open_runtime(settings) as runtime:
        ledger = runtime.ledger(BOOK)
        chart = [account_draft(code="assets:cash:usd", type="asset", currency="USD")]
        apply_accounts(ledger, chart, Ask(actor=ME))
        first = export_segment(runtime, closed_on=FIRST, book=BOOK)
        segments = runtime.home / "archive" / runtime.settings.origin_of(BOOK) / "segments"
        for name in (f"2031/01/01/0000000002-{first.next_seq}-9", "2026/03/31/0000000099-7-9"):
            (segments / name).mkdir(parents=True)
            (segments / name / MANIFEST_FILE).write_bytes(b"mine")
        second = export_segment(runtime, closed_on=SECOND, book=BOOK)
        assert (second.segment, second.created, len(second.foreign)) == (2, True, 2)
        assert check_book(runtime, BOOK).codes == {"archive_foreign"}
