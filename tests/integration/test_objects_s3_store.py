"""The store over a real bucket: written once, locked, by version; what it refuses, and what it says of failures."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ledger_core.base.objects.s3 import S3Store
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, InvalidInput, NotFound
from ledger_core.log.bucket import Bucket, parse_address
from ledger_core.log.object_tree import ObjectPlace, ObjectTree
from tests.conftest import ArchiveBucket, S3Server

pytestmark = pytest.mark.integration

NAME = "origin/segments/one"


def put_raw(bucket: ArchiveBucket, name: str, data: bytes, **more: Any) -> None:
    """Write as somebody who holds the key, past the store."""
    bucket.client.put_object(Bucket=bucket.name, Key=f"books/{name}", Body=data, **more)


def test_what_is_put_can_be_read_and_is_listed(bucket: ArchiveBucket) -> None:
    store = bucket.store()
    stored = store.put_once(NAME, b"content")
    assert stored.created
    assert stored.version_id
    assert (stored.uri, stored.size_bytes) == (f"s3://{bucket.name}/books/{NAME}", 7)
    assert stored.sha256 == hashlib.sha256(b"content").hexdigest()
    assert store.open(NAME).read() == b"content"
    assert list(store.list("origin/")) == [NAME]
    assert store.version_of(NAME) == stored.version_id
    assert bucket.all_keys() == [f"books/{NAME}"]


def test_a_file_is_put_as_bytes_are(bucket: ArchiveBucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    store = bucket.store()
    assert store.put_once(NAME, tmp_path / "file").size_bytes == 3_000_000
    with store.open(NAME) as source:
        assert source.seek(0, 2) == 3_000_000
        source.seek(2_999_990)
        assert source.read() == b"x" * 10


def test_the_same_content_again_is_a_no_op_and_another_is_refused(bucket: ArchiveBucket) -> None:
    store = bucket.store()
    first = store.put_once(NAME, b"content")
    again = bucket.store().put_once(NAME, b"content")
    assert (again.created, again.version_id) == (False, first.version_id)
    with pytest.raises(IntegrityError, match="exists with other content"):
        store.put_once(NAME, b"other")
    assert store.open(NAME).read() == b"content"
    assert list(store.foreign()) == []


def test_of_two_who_write_one_name_at_once_one_is_first(bucket: ArchiveBucket) -> None:
    created: list[bool] = []
    refused: list[BaseException] = []

    def write(data: bytes) -> None:
        try:
            created.append(bucket.store().put_once(NAME, data).created)
        except IntegrityError as error:
            refused.append(error)

    writers = [threading.Thread(target=write, args=(b"%d" % number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (created, len(refused)) == ([True], 3)


@pytest.mark.parametrize("bypass", [{}, {"BypassGovernanceRetention": True}])
def test_the_lock_refuses_to_delete_a_version(bucket: ArchiveBucket, bypass: dict[str, bool]) -> None:
    store = bucket.store()
    version_id = store.put_once(NAME, b"content").version_id
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.client.delete_object(Bucket=bucket.name, Key=f"books/{NAME}", VersionId=version_id, **bypass)
    assert store.open(NAME).read() == b"content"


def test_the_lock_cannot_be_shortened_and_ends_on_the_day_that_was_set(bucket: ArchiveBucket) -> None:
    version_id = bucket.store().put_once(NAME, b"content").version_id
    place = {"Bucket": bucket.name, "Key": f"books/{NAME}", "VersionId": version_id}
    lock = bucket.client.get_object_retention(**place)["Retention"]
    assert lock["Mode"] == "COMPLIANCE"
    assert timedelta(hours=23) < lock["RetainUntilDate"] - datetime.now(UTC) <= timedelta(days=1)
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(minutes=1)}
    with pytest.raises(ClientError):
        bucket.client.put_object_retention(**place, Retention=sooner, BypassGovernanceRetention=True)


def test_under_a_delete_marker_the_object_is_still_read_and_the_marker_is_told(bucket: ArchiveBucket) -> None:
    store = bucket.store()
    store.put_once(NAME, b"content")
    bucket.client.delete_object(Bucket=bucket.name, Key=f"books/{NAME}")
    assert store.exists(NAME)
    assert list(store.list()) == [NAME]
    assert store.open(NAME).read() == b"content"
    ((name, what),) = store.foreign()
    assert (name, "delete marker" in what) == (NAME, True)


def test_a_newer_version_is_told_and_the_first_is_read(bucket: ArchiveBucket) -> None:
    store = bucket.store()
    store.put_once(NAME, b"content")
    put_raw(bucket, NAME, b"forged!")
    assert store.open(NAME).read() == b"content"
    ((name, what),) = store.foreign("origin/")
    assert (name, "newer version" in what) == (NAME, True)


def test_what_is_written_over_a_delete_marker_is_an_alarm(
    bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_raw(bucket, NAME, b"somebody's")
    bucket.client.delete_object(Bucket=bucket.name, Key=f"books/{NAME}")
    with pytest.raises(IntegrityError, match="exists with other content"):
        bucket.store().put_once(NAME, b"content")
    ask = Bucket.ask

    def under_a_marker_nothing_is_there(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        arguments.pop("IfNoneMatch", None)
        return ask(self, operation, **arguments)

    # As Amazon's service sees it.
    monkeypatch.setattr(Bucket, "ask", under_a_marker_nothing_is_there)
    with pytest.raises(IntegrityError, match="delete marker") as refused:
        bucket.store().put_once(NAME, b"content")
    assert refused.value.context["finding"] == "archive_foreign"


def test_the_same_content_that_somebody_put_there_without_a_lock_is_an_alarm(bucket: ArchiveBucket) -> None:
    put_raw(bucket, NAME, b"content")
    with pytest.raises(IntegrityError, match="no lock keeps it"):
        bucket.store().put_once(NAME, b"content")


def test_a_long_listing_is_whole_and_in_order(bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        put_raw(bucket, f"many/{number}", b"x")
    put_raw(bucket, "many/3", b"y")
    pages = 0
    ask = Bucket.ask

    def by_two(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        nonlocal pages
        pages += 1
        more = {"MaxKeys": 2} if operation == "list_object_versions" else {}
        return ask(self, operation, **arguments, **more)

    monkeypatch.setattr(Bucket, "ask", by_two)
    reader = Bucket(bucket.name, endpoint=bucket.server.endpoint)
    found = {key.rpartition("/")[2]: len(versions) for key, versions in reader.versions("books/many/")}
    assert found == {"0": 1, "1": 1, "2": 1, "3": 2, "4": 1, "5": 1, "6": 1}
    assert pages > 3
    assert [key for key, _ in reader.versions("books/many/", after="books/many/4")] == ["books/many/5", "books/many/6"]


def test_a_bucket_without_versions_or_lock_is_refused_before_anything_is_written(
    s3_server: S3Server, s3_client: Any
) -> None:
    s3_client.create_bucket(Bucket="without-versions")
    s3_client.create_bucket(Bucket="without-lock")
    s3_client.put_bucket_versioning(Bucket="without-lock", VersioningConfiguration={"Status": "Enabled"})
    for name, what in (("without-versions", "keeps no versions"), ("without-lock", "has no object lock")):
        store = ArchiveBucket(server=s3_server, name=name, client=s3_client)
        with pytest.raises(ConfigurationError, match=what) as refused:
            store.store().put_once(NAME, b"content")
        assert "compliance" in str(refused.value.remedy)
        assert store.all_keys() == []


def test_production_refuses_governance_whether_ours_or_the_buckets(bucket: ArchiveBucket) -> None:
    with pytest.raises(ConfigurationError, match="governance"):
        bucket.store(mode="GOVERNANCE", requires_compliance=True).require_locked()
    bucket.store(requires_compliance=True).require_locked()
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    bucket.client.put_object_lock_configuration(
        Bucket=bucket.name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    with pytest.raises(ConfigurationError, match="governance"):
        bucket.store(requires_compliance=True).require_locked()
    bucket.store().require_locked()


def test_what_is_not_there_is_not_found(bucket: ArchiveBucket) -> None:
    store = bucket.store()
    assert not store.exists(NAME)
    for ask in (store.open, store.version_of):
        with pytest.raises(NotFound):
            ask(NAME)


def test_a_bucket_that_is_not_there_and_credentials_nobody_knows_are_named(
    s3_server: S3Server, bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ArchiveBucket(server=s3_server, name="no-such-bucket", client=bucket.client)
    with pytest.raises(ConfigurationError, match="no bucket no-such-bucket"):
        list(nowhere.store().list())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    with pytest.raises(ConfigurationError, match="not known"):
        bucket.store().require_locked()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "archive")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigurationError, match="not known"):
        bucket.store().require_locked()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="no credentials"):
        bucket.store().require_locked()


ANSWERS = [
    (403, "AccessDenied", ConfigurationError, "denies"),
    (400, "ExpiredToken", ConfigurationError, "expired"),
    (400, "AuthorizationHeaderMalformed", ConfigurationError, "is in eu-west-1"),
    (403, "RequestTimeTooSkewed", ConfigurationError, "clock"),
    (404, "NoSuchBucket", ConfigurationError, "no bucket"),
    (503, "SlowDown", DependencyError, "SlowDown"),
    (400, "SomethingNew", DependencyError, "SomethingNew"),
]


class Answering(BaseHTTPRequestHandler):
    """Answers everything with one of S3's errors, as the service words them."""

    status, code = 500, "InternalError"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = f"<Error><Code>{self.code}</Code><Message>m</Message><Region>eu-west-1</Region></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("status", "code", "kind", "says"), ANSWERS)
def test_each_answer_of_the_service_has_its_typed_error(
    s3_server: S3Server, status: int, code: str, kind: type[Exception], says: str
) -> None:
    handler = type("Handler", (Answering,), {"status": status, "code": code, "asked": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        bucket = Bucket("some-bucket", endpoint=f"http://127.0.0.1:{server.server_port}", region="us-east-1")
        with pytest.raises(kind, match=says) as raised:
            bucket.ask("get_bucket_versioning")
        server.shutdown()
    assert raised.value.remedy  # type: ignore[attr-defined]
    assert 1 <= handler.asked <= 4


def test_a_body_that_breaks_off_goes_on_from_where_it_broke(
    bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 4096
    store = bucket.store()
    store.put_once(NAME, data)
    ask, broken = Bucket.ask, []

    def breaking(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        answer = ask(self, operation, **arguments)
        if operation == "get_object" and len(broken) < 3:
            broken.append(arguments["Range"])
            body, read = answer["Body"], answer["Body"].read
            body.read = lambda size: read(1000) if not body.tell() else b""
        return answer

    monkeypatch.setattr(Bucket, "ask", breaking)
    assert store.open(NAME).read() == data
    assert broken == ["bytes=0-", "bytes=1000-", "bytes=2000-"]


def test_a_service_that_is_away_is_a_dependency(s3_server: S3Server) -> None:
    store = S3Store(
        "s3://some-bucket", retention=timedelta(days=1), clock=lambda: datetime.now(UTC), endpoint="http://127.0.0.1:9"
    )
    with pytest.raises(DependencyError, match="does not answer"):
        store.require_locked()


@pytest.mark.parametrize("address", ["s3://", "s3:///x", "s3://A/x", "s3://ab/x", "http://bucket/x", "s3://abc/../x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(address)


def test_a_slash_more_at_the_end_of_an_address_changes_nothing() -> None:
    assert parse_address("s3://abc/x/y/") == parse_address("s3://abc/x/y") == ("abc", "x/y")


LISTED = "<Key>books/x</Key><Size>1</Size>"
WHOLE = f"{LISTED}<VersionId>1</VersionId><LastModified>2026-03-30T00:00:00Z</LastModified>"
NO_LISTINGS = {
    "a web page": "<html><body><p>Welcome.</p></body></html>",
    "a page that is no XML": "<html><br>Welcome",
    "nothing": "",
    "another document of S3": "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
    "no word of whether there is more": f"<ListVersionsResult><Version>{WHOLE}</Version></ListVersionsResult>",
    "more, and not from where": "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
    "objects without versions": (
        f"<ListVersionsResult><IsTruncated>false</IsTruncated><Version>{LISTED}</Version></ListVersionsResult>"
    ),
    "a time that is none": (
        "<ListVersionsResult><IsTruncated>false</IsTruncated><Version>"
        f"{WHOLE.replace('2026-03-30T00:00:00Z', 'yesterday')}</Version></ListVersionsResult>"
    ),
}


@pytest.mark.parametrize("said", NO_LISTINGS)
def test_an_answer_that_is_no_listing_is_never_an_empty_bucket(s3_server: S3Server, said: str) -> None:
    class Welcoming(Answering):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(NO_LISTINGS[said])))
            self.end_headers()
            self.wfile.write(NO_LISTINGS[said].encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Welcoming) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        bucket = Bucket("some-bucket", endpoint=f"http://127.0.0.1:{server.server_port}", region="us-east-1")
        with pytest.raises(DependencyError) as raised:
            list(bucket.versions("books/"))
        with pytest.raises(DependencyError):
            list(bucket.folders("books/"))
        server.shutdown()
    assert raised.value.remedy


def test_an_endpoint_that_is_none_is_said_and_nothing_is_listed() -> None:
    with pytest.raises(DependencyError, match="cannot be read"):
        list(Bucket("some-bucket", endpoint="nowhere", region="us-east-1").versions(""))


def test_a_version_that_is_listed_and_gone_is_not_there_as_a_file_is_not(bucket: ArchiveBucket) -> None:
    name = "d/e/main/segments/2026/03/30/0000000001-0-3/checkpoint"
    bucket.store().put_once(name, b"content")
    tree = ObjectTree(Bucket(bucket.name, endpoint=bucket.server.endpoint), "books")
    tree.load()
    place = ObjectPlace(tree, f"books/{name}")
    with place.open() as source:
        assert source.read() == b"content"
    (bucket.server.folder / "data" / bucket.name / "books" / name).unlink()
    with pytest.raises(FileNotFoundError, match="not there"):
        place.open()


def test_the_store_says_when_the_first_version_was_written(bucket: ArchiveBucket) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)  # the service says whole seconds
    store = bucket.store()
    store.put_once(NAME, b"content")
    written = store.written_at(NAME)
    assert began <= written <= datetime.now(UTC)
    put_raw(bucket, NAME, b"other")
    assert bucket.store().written_at(NAME) == written
    with pytest.raises(NotFound):
        store.written_at("origin/segments/none")
