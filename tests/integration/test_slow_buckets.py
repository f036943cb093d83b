"""A service that is never silent and never done: waiting for it ends, of each request and of all that one task asks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest

from ledger_core.base.objects.s3 import S3Store
from ledger_core.book.sequencer.archived import newest_archived
from ledger_core.errors import DependencyError
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log import bucket, patience
from ledger_core.log.bucket import Bucket, ObjectVersion
from ledger_core.log.keys import KeyRing, TrustFile
from ledger_core.log.object_tree import place_of
from ledger_core.log.verifier import verify_path
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.conftest import S3Server

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"
TRICKLES = {
    "the first line": (b"", b"H"),
    "its headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "its body": (OK + b"\r\n", b"<"),
    "an answer without a length": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n<\r\n"),
}
LISTING = (
    "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>books/{0:09d}</NextKeyMarker>"
    "<NextVersionIdMarker>1</NextVersionIdMarker><Version><Key>books/{0:09d}</Key><Size>1</Size><VersionId>1"
    "</VersionId><LastModified>2026-03-30T00:00:00Z</LastModified></Version></ListVersionsResult>"
)

Answer = Callable[[socket.socket], None]
NO_KEYS: KeyRing = None  # type: ignore[assignment]  # where no note is come to, no key is asked for


@pytest.fixture
def serving(s3_server: S3Server) -> Iterator[Callable[[Answer], str]]:
    """Start a server that answers each connection so; return its address. The credentials are the real service's."""
    del s3_server
    ended, listeners = threading.Event(), list[socket.socket]()

    def start(answer: Answer) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):  # given up by the client, which is what is tested
                answer(connection)

        def run() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    ended.set()
    for listener in listeners:
        listener.close()


def trickling(first: bytes, again: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while True:
            connection.sendall(again)
            time.sleep(0.05)

    return answer


def bucket_at(endpoint: str) -> Bucket:
    return Bucket("some-bucket", endpoint=endpoint, region="us-east-1")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CALL_SECONDS", 1.0)
    monkeypatch.setattr(patience, "TASK_SECONDS", 3.0)


@pytest.mark.parametrize("part", TRICKLES)
def test_a_service_that_trickles_any_part_of_its_answer_is_given_up(
    serving: Callable[[Answer], str], part: str
) -> None:
    bucket = bucket_at(serving(trickling(*TRICKLES[part])))
    began = time.monotonic()
    with pytest.raises(DependencyError, match="is given up") as raised:
        bucket.ask("get_bucket_versioning")
    assert time.monotonic() - began < 12
    assert raised.value.remedy


def test_an_object_that_trickles_is_given_up_and_one_that_flows_is_not(serving: Callable[[Answer], str]) -> None:
    version = ObjectVersion(
        key="k", version_id="1", size_bytes=1_000_000, is_marker=False, written_at=datetime.now(UTC)
    )
    began = time.monotonic()
    with pytest.raises(DependencyError, match="is given up"):
        bucket_at(serving(trickling(OK + b"\r\n", b"x"))).open(version).read()
    assert time.monotonic() - began < 12
    # 200 kB/s: longer in all than one request may wait, and every byte earns its time.
    flowing = bucket_at(serving(trickling(OK + b"\r\n", b"x" * 20_000)))
    assert flowing.open(version).read() == b"x" * 1_000_000


def test_a_service_that_takes_what_is_written_a_little_at_a_time_is_given_up(serving: Callable[[Answer], str]) -> None:
    def sipping(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while connection.recv(256):
            time.sleep(0.05)

    store = S3Store(
        "s3://some-bucket", retention=timedelta(days=1), clock=lambda: datetime.now(UTC), endpoint=serving(sipping)
    )
    store._is_sound = True
    began = time.monotonic()
    with pytest.raises(DependencyError):
        store.put_own("a/b", b"x" * 20_000_000)
    assert time.monotonic() - began < 30


def test_an_answer_without_end_is_given_up_though_it_comes_fast(
    serving: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MAX_ANSWER_BYTES", 1_000_000)
    endless = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", b"<" * 500_000)
    with pytest.raises(DependencyError, match="does not come to an end"):
        bucket_at(serving(endless)).ask("get_bucket_versioning")


def listing(pause_seconds: float) -> Answer:
    """Answer every request with one more name, and that there are more."""
    count = 0

    def answer(connection: socket.socket) -> None:
        nonlocal count
        while connection.recv(65536):
            count += 1
            body = LISTING.format(count).encode()
            time.sleep(pause_seconds)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return answer


def test_a_verification_ends_though_every_answer_is_in_time(
    serving: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ANSWER_EARNS_SECONDS", 0.1)
    place = place_of("s3://some-bucket/books", endpoint=serving(listing(0.4)), region="us-east-1")
    began = time.monotonic()
    report = verify_path(place, TrustFile(origin="x", threshold=1, roots=()))
    assert (report.verdict, report.exit_status) == ("unverifiable", 2)
    assert "is given up" in report.failures[0].detail
    assert time.monotonic() - began < 30


def test_a_listing_that_goes_on_for_ever_ends(
    serving: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "MAX_PAGES", 50)
    with pytest.raises(DependencyError, match="more than 50 pages"):
        list(bucket_at(serving(listing(0))).versions("books/"))


def test_an_export_into_a_bucket_that_trickles_ends_and_writes_nothing(
    serving: Callable[[Answer], str], settings: Settings
) -> None:
    slow = ArchiveSettings(url="s3://some-bucket/books", endpoint=serving(trickling(*TRICKLES["its body"])))
    with open_runtime(settings) as runtime:
        runtime.ledger("main")  # and the signing proxy is up, which looks at the archive when it starts
    with open_runtime(settings.model_copy(update={"archive": slow})) as runtime:
        runtime.ledger("main")
        began = time.monotonic()
        with pytest.raises(DependencyError, match="is given up"):
            export_segment(runtime, closed_on=date(2026, 3, 30), book="main")
        assert time.monotonic() - began < 30
        with runtime.engine.connect() as connection:
            assert connection.exec_driver_sql("select count(*) from ledger.exports").scalar() == 0


def test_an_archive_that_a_thief_fills_without_end_stops_no_book_and_it_is_said(
    serving: Callable[[Answer], str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(bucket, "MAX_PAGES", 50)
    filled = ArchiveSettings(url="s3://some-bucket/books", endpoint=serving(listing(0)), region="us-east-1")
    given = settings.model_copy(update={"archive": filled})
    assert newest_archived(given, given.origin_of("main"), lambda: NO_KEYS) is None
    assert "lists more than 50 pages" in caplog.text
