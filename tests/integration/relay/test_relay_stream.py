"""The log told to the archive: exact bytes, in order, a minute late at most, whatever falls between."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger_core.errors import IntegrityError, LedgerBehind
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.verifier import verify_path
from ledger_core.relay.cursors import read_cursor
from ledger_core.relay.relay import RELAY_LOCK, Relay
from ledger_core.relay.stream import GATHER_SECONDS, StreamDestination, stream_name
from ledger_core.runtime import Runtime
from tests.conftest import ArchiveBucket
from tests.integration.relay.conftest import records

pytestmark = pytest.mark.integration

Post = Callable[..., None]


def stream_of(runtime: Runtime, book: str = "main") -> Path:
    return runtime.home / "archive" / runtime.settings.origin_of(book) / "stream"


def told(runtime: Runtime, book: str = "main") -> list[bytes]:
    """Return the records in the stream's parts, one after another by their names."""
    parts = sorted(stream_of(runtime, book).glob("*.jsonl.gz"))
    return [line for part in parts for line in gzip.decompress(part.read_bytes()).splitlines()]


def relay_of(runtime: Runtime) -> Relay:
    return Relay(runtime, StreamDestination(runtime.archive))


def test_the_stream_holds_the_exact_bytes_of_every_signed_record_of_every_book(runtime: Runtime, post: Post) -> None:
    post(30)
    post(3, book="second")
    relay = relay_of(runtime)

    assert relay.turn(hurry=True) == len(records(runtime)) + len(records(runtime, "second"))
    post(5)
    assert relay.turn(hurry=True) == 5
    assert relay.turn(hurry=True) == 0

    assert told(runtime) == records(runtime)
    assert told(runtime, "second") == records(runtime, "second")
    assert relay.lag == {"main": 0, "second": 0}


def test_a_part_is_named_by_its_first_record_and_the_first_behind_it(runtime: Runtime, post: Post) -> None:
    post(7)
    relay_of(runtime).turn(hurry=True)
    size = len(records(runtime))

    assert [part.name for part in stream_of(runtime).iterdir()] == [f"{0:016d}-{size:016d}.jsonl.gz"]


def test_few_records_are_gathered_for_less_than_a_minute(
    runtime: Runtime, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("ledger_core.relay.relay.time.monotonic", lambda: now)
    post(4)
    relay = relay_of(runtime)

    assert relay.turn() == 0
    assert relay.lag["main"] == len(records(runtime))
    now += GATHER_SECONDS - 1
    assert relay.turn() == 0
    now += 1
    assert relay.turn() == len(records(runtime))
    # What comes then waits anew.
    post(1)
    assert relay.turn() == 0
    assert GATHER_SECONDS < 60


def test_a_full_batch_waits_for_nothing(runtime: Runtime, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamDestination, "batch_records", 10)
    post(25)
    relay, size = relay_of(runtime), len(records(runtime))

    assert relay.turn() == size // 10 * 10
    assert relay.turn(hurry=True) == size % 10
    assert told(runtime) == records(runtime)


def test_whoever_is_killed_before_the_cursor_moved_leaves_no_gap(
    runtime: Runtime, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(10)
    with monkeypatch.context() as patch:
        patch.setattr("ledger_core.relay.relay.move_cursor", _killed)
        with pytest.raises(KeyboardInterrupt):
            relay_of(runtime).turn(hurry=True)
    first_size = len(records(runtime))
    post(5)

    relay_of(runtime).turn(hurry=True)

    size = len(records(runtime))
    assert sorted(part.name for part in stream_of(runtime).iterdir()) == [
        f"{0:016d}-{first_size:016d}.jsonl.gz",
        f"{0:016d}-{size:016d}.jsonl.gz",
    ]
    longest = stream_of(runtime) / f"{0:016d}-{size:016d}.jsonl.gz"
    assert gzip.decompress(longest.read_bytes()).splitlines() == records(runtime)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_same_range_again_is_a_no_op_however_it_was_compressed(
    runtime: Runtime, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(10)
    with monkeypatch.context() as patch:
        patch.setattr("ledger_core.relay.relay.move_cursor", _killed)
        with pytest.raises(KeyboardInterrupt):
            relay_of(runtime).turn(hurry=True)
    (part,) = stream_of(runtime).iterdir()
    lines = gzip.decompress(part.read_bytes())
    part.chmod(0o600)
    part.write_bytes(gzip.compress(lines, compresslevel=1, mtime=5))

    assert relay_of(runtime).turn(hurry=True) == len(records(runtime))
    assert told(runtime) == records(runtime)


def test_what_somebody_else_laid_where_a_part_belongs_is_told_and_not_believed(runtime: Runtime, post: Post) -> None:
    post(10)
    size = len(records(runtime))
    forged = [line.replace(b"order", b"odder") for line in records(runtime)]
    runtime.archive.put_once(
        stream_name(runtime.settings.origin_of("main"), 0, size),
        gzip.compress(b"".join(line + b"\n" for line in forged)),
    )

    with pytest.raises(IntegrityError):
        relay_of(runtime).turn(hurry=True)
    post(1)
    relay_of(runtime).turn(hurry=True)

    longest = stream_of(runtime) / f"{0:016d}-{size + 1:016d}.jsonl.gz"
    assert gzip.decompress(longest.read_bytes()).splitlines() == records(runtime)


def test_two_relays_of_one_destination_do_not_tell_at_once(runtime: Runtime, post: Post) -> None:
    post(3)
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        name = "main archive"
        other.execute(text("select pg_advisory_lock(:lock, hashtext(:of))"), {"lock": RELAY_LOCK, "of": name})
        assert relay_of(runtime).turn(hurry=True) == 0
        other.execute(text("select pg_advisory_unlock(:lock, hashtext(:of))"), {"lock": RELAY_LOCK, "of": name})
    assert relay_of(runtime).turn(hurry=True) == len(records(runtime))


def test_a_database_behind_what_was_told_tells_nothing(runtime: Runtime, post: Post) -> None:
    post(3)
    post(1, book="second")
    relay_of(runtime).turn(hurry=True)
    with runtime.engine.begin() as connection:
        connection.execute(text("update ledger.relay_cursors set next_seq = next_seq + 7 where book = 'main'"))
    post(2)
    post(2, book="second")

    with pytest.raises(LedgerBehind, match="are signed here"):
        relay_of(runtime).turn(hurry=True)
    # One book's trouble keeps no other from being told.
    assert told(runtime, "second") == records(runtime, "second")


def test_what_is_not_signed_yet_is_not_told(runtime: Runtime, post: Post) -> None:
    post(3)
    with runtime.engine.connect() as connection:
        size = connection.execute(text("select signed_size from ledger.log_head where book = 'main'")).scalar_one()
    with runtime.engine.begin() as connection:
        connection.execute(text("set local role none"))
        connection.execute(text("update ledger.log_head set signed_size = signed_size - 2 where book = 'main'"))

    assert relay_of(runtime).turn(hurry=True) == size - 2


def test_a_cursor_never_goes_back(runtime: Runtime, post: Post) -> None:
    from ledger_core.relay.cursors import move_cursor

    post(3)
    relay_of(runtime).turn(hurry=True)
    size = len(records(runtime))
    driver = runtime.engine.raw_connection()
    move_cursor(driver.driver_connection, "main", "archive", next_seq=1)  # type: ignore[arg-type]
    assert read_cursor(driver.driver_connection, "main", "archive") == size  # type: ignore[arg-type]
    driver.rollback()
    driver.close()


def test_a_check_reads_over_the_stream_and_names_what_is_no_part_of_it(runtime: Runtime, post: Post) -> None:
    post(10)
    relay_of(runtime).turn(hurry=True)

    assert check_book(runtime, "main").codes == set()
    for name in ("notes", f"{0:016d}-{1:016d}.jsonl", f"more/{0:016d}-{1:016d}.jsonl.gz"):
        runtime.archive.put_once(f"{runtime.settings.origin_of('main')}/stream/{name}", b"x")
    checked = check_book(runtime, "main")
    assert checked.codes == {"archive_foreign"}
    assert len(checked.findings) == 3


def test_a_verifier_of_a_bucket_reads_over_the_stream(runtime: Runtime, post: Post, bucket: ArchiveBucket) -> None:
    store = bucket.store()
    runtime.archive = store
    post(10)
    relay_of(runtime).turn(hurry=True)
    export_segment(runtime, closed_on=date(2026, 3, 31), book="main")
    post(2)
    relay_of(runtime).turn(hurry=True)

    report = verify_path(bucket.place, runtime.trust_path)

    assert report.verdict == "verified", report.as_lines()
    assert check_book(runtime, "main").codes == set()
    assert any("/stream/" in key for key in bucket.all_keys())
    bucket.client.put_object(
        Bucket=bucket.name, Key=f"books/{runtime.settings.origin_of('main')}/stream/notes", Body=b"x"
    )
    report = verify_path(bucket.place, runtime.trust_path)
    assert any("stream/notes" in line for line in report.as_lines())
