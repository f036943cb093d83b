"""The nightly export into a real bucket: versions chained, locks set, nights interrupted and gone on with, and verified
by everything that reads an archive: the library, the command, the verifier in one file, `check`.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from ledger_core.actor import Actor
from ledger_core.errors import DependencyError, IntegrityError
from ledger_core.evidence.anchor import anchor_checkpoints, anchored_sizes
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.archive import list_segments
from ledger_core.evidence.export.segment import ExportResult, export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.bucket import Bucket
from ledger_core.log.build_verifier import build
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.object_tree import place_of
from ledger_core.log.segment import FILES, MANIFEST_FILE, RECORDS_FILE, Manifest, parse_manifest
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.conftest import ArchiveBucket

pytestmark = pytest.mark.integration

BOOK = "main"
ME = Actor(subject="tester")
FIRST, SECOND, THIRD = date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)


def entry(number: int) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description=f"order {number}",
        postings=(
            PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=number + 1, currency="USD"),
            PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=number + 1, currency="USD"),
        ),
    )


@pytest.fixture
def posted(settings: Settings, bucket: ArchiveBucket) -> Iterator[Runtime]:
    """A book of twenty entries whose archive is the bucket: seqs 0 to 22."""
    with open_runtime(settings.model_copy(update={"archive": bucket.settings})) as runtime:
        ledger = runtime.ledger(BOOK)
        accounts = [
            account_draft(code="assets:cash:usd", type="asset", currency="USD"),
            account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
        ]
        apply_accounts(ledger, accounts, Ask(actor=ME))
        ledger.append([entry(number) for number in range(20)], Ask(actor=ME))
        yield runtime


def export(runtime: Runtime, day: date) -> ExportResult:
    return export_segment(runtime, closed_on=day, book=BOOK)


def name_of(runtime: Runtime, result: ExportResult) -> str:
    return result.uri.removeprefix(f"{runtime.archive.uri}/")


def read(runtime: Runtime, name: str) -> bytes:
    with runtime.archive.open(name) as source:
        return source.read()


def manifest_of(runtime: Runtime, result: ExportResult) -> Manifest:
    return parse_manifest(parse_envelope(read(runtime, f"{name_of(runtime, result)}/{MANIFEST_FILE}")).payload)


def rows(runtime: Runtime, query: str) -> list[Any]:
    with runtime.engine.connect() as connection:
        return list(connection.execute(text(query)).all())


def test_two_nights_are_locked_chained_by_version_verified_and_checked(posted: Runtime, bucket: ArchiveBucket) -> None:
    first = export(posted, FIRST)
    posted.ledger(BOOK).append([entry(20)], Ask(actor=ME))
    second = export(posted, SECOND)
    assert first.uri.startswith(f"s3://{bucket.name}/books/counterfoil.localhost/test/main/segments/2026/03/30/")
    stored = [bytes(row.canonical) for row in rows(posted, "select canonical from ledger.records order by seq")]
    assert gzip.decompress(read(posted, f"{name_of(posted, first)}/{RECORDS_FILE}")).splitlines() == stored[:23]
    before, after = manifest_of(posted, first), manifest_of(posted, second)
    reader = Bucket(bucket.name, endpoint=bucket.server.endpoint)
    for result, manifest in ((first, before), (second, after)):
        versions = {item.name: item.version_id for item in manifest.objects}
        assert set(versions) == set(FILES) - {MANIFEST_FILE}
        for file in FILES:
            key = f"books/{name_of(posted, result)}/{file}"
            (version,) = reader.versions_of(key)
            assert versions.get(file, version.version_id) == version.version_id
            lock = reader.ask("get_object_retention", Key=key, VersionId=version.version_id)["Retention"]
            assert lock["Mode"] == "COMPLIANCE"
    assert after.previous is not None
    assert after.previous.version_id == posted.archive.version_of(f"{name_of(posted, first)}/{MANIFEST_FILE}")
    report = verify_path(bucket.place, posted.trust_path)
    assert (report.verdict, report.segments, report.size) == ("verified", 2, second.next_seq), report.as_lines()
    alone = verify_path(posted.archive.place(name_of(posted, second)), posted.trust_path)
    assert (alone.verdict, alone.segments) == ("verified", 1), alone.as_lines()
    checked = check_book(posted, BOOK)
    assert checked.sound, checked.as_lines()
    assert (first.foreign, second.foreign) == ((), ())


def test_a_day_again_is_a_no_op_and_the_record_names_the_manifests_version(
    posted: Runtime, bucket: ArchiveBucket
) -> None:
    first = export(posted, FIRST)
    before = bucket.all_keys()
    again = export(posted, FIRST)
    assert (again.created, again.manifest_sha256) == (False, first.manifest_sha256)
    assert bucket.all_keys() == before
    version = posted.archive.version_of(f"{name_of(posted, first)}/{MANIFEST_FILE}")
    (row,) = rows(posted, "select convert_from(canonical, 'UTF8') as body from ledger.records where kind = 'export'")
    assert f'"version_id":"{version}"' in row.body


def test_a_night_that_ends_before_any_write_is_gone_on_with(
    posted: Runtime, bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Bucket.ask
    for night, stop_at in enumerate(range(1, 5)):
        puts = 0

        def dying(self: Bucket, operation: str, *, stop_at: int = stop_at, **arguments: Any) -> dict[str, Any]:
            nonlocal puts
            puts += operation == "put_object"
            if puts == stop_at:
                raise DependencyError("the service went away")
            return ask(self, operation, **arguments)

        day = FIRST + timedelta(days=night)
        with monkeypatch.context() as patch:
            patch.setattr(Bucket, "ask", dying)
            with pytest.raises(DependencyError):
                export(posted, day)
        assert len(bucket.all_keys()) == 4 * night + stop_at - 1
        assert export(posted, day).segment == night + 1
        assert len(bucket.all_keys()) == 4 * night + 4
    report = verify_path(bucket.place, posted.trust_path)
    assert (report.verdict, report.segments) == ("verified", 4), report.as_lines()
    assert check_book(posted, BOOK).sound


def test_nights_go_on_under_an_attack_and_each_one_tells_of_it(posted: Runtime, bucket: ArchiveBucket) -> None:
    first = export(posted, FIRST)
    key = f"books/{name_of(posted, first)}/{RECORDS_FILE}"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"forged")
    second = export(posted, SECOND)
    assert second.created
    assert [key.removeprefix("books/") in told for told in second.foreign] == [True]
    report = verify_path(bucket.place, posted.trust_path)
    assert ([item.verdict for item in report.failures], report.segments) == (["foreign"], 2)


def test_a_database_rewritten_since_stops_the_export_before_anything_is_written(
    posted: Runtime, bucket: ArchiveBucket
) -> None:
    export(posted, FIRST)
    before = bucket.all_keys()
    with posted.engine.begin() as connection:
        connection.execute(text("reset role"))
        connection.execute(text("set session_replication_role = replica"))
        changed = "convert_to(replace(convert_from(canonical, 'UTF8'), 'order 7', 'order 8'), 'UTF8')"
        connection.execute(text(f"update ledger.records set canonical = {changed} where seq = 10"))
    with pytest.raises(IntegrityError, match="differs from archived segment 1 at seq 10"):
        export(posted, SECOND)
    assert bucket.all_keys() == before


def test_a_bucket_that_cannot_lock_stops_the_export_before_anything_is_written(
    settings: Settings, bucket: ArchiveBucket
) -> None:
    bucket.client.create_bucket(Bucket=f"{bucket.name}-plain")
    weak = bucket.settings.model_copy(update={"url": f"s3://{bucket.name}-plain/books"})
    with open_runtime(settings.model_copy(update={"archive": weak})) as runtime:
        runtime.ledger(BOOK)
        with pytest.raises(Exception, match="keeps no versions"):
            export(runtime, FIRST)
        assert list_segments(runtime.archive, runtime.settings.origin_of(BOOK)) == []


def test_the_archive_may_be_any_folder_by_the_same_setting(settings: Settings, tmp_path: Path) -> None:
    elsewhere = ArchiveSettings(url=(tmp_path / "else where").as_uri())
    with open_runtime(settings.model_copy(update={"archive": elsewhere})) as runtime:
        runtime.ledger(BOOK)
        manifest = manifest_of(runtime, export(runtime, FIRST))
        assert verify_path(tmp_path / "else where", runtime.trust_path).verdict == "verified"
        assert not (runtime.home / "archive").exists()
    # A manifest on a disk stays as it was: no member for what a disk has not.
    assert all("version_id" not in item.as_json() for item in manifest.objects)


def test_the_command_and_the_verifier_in_one_file_read_a_bucket(
    posted: Runtime, bucket: ArchiveBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli.main import app

    export(posted, FIRST)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(posted.home))
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    monkeypatch.setenv("COUNTERFOIL_ARCHIVE__ENDPOINT", bucket.server.endpoint)
    said = CliRunner().invoke(app, ["verify", f"s3://{bucket.name}/books"])
    assert (said.exit_code, f"VERIFIED: s3://{bucket.name}/books" in said.output) == (0, True), said.output
    build(tmp_path / "verify.pyz")
    command = [str(tmp_path / "verify.pyz"), f"s3://{bucket.name}/books", "--trust", str(posted.trust_path)]
    environment = {**os.environ, "AWS_ENDPOINT_URL_S3": bucket.server.endpoint}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.startswith("VERIFIED")) == (0, True), done.stdout + done.stderr
    # Without boto3 beside it, it says so and decides nothing.
    without = (
        f"import runpy, sys; sys.modules['boto3'] = None; sys.argv = {command!r}; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, env=environment)
    assert (done.returncode, "needs boto3" in done.stdout) == (2, True), done.stdout + done.stderr


def test_a_bucket_that_cannot_be_read_says_nothing_against_what_is_in_it(
    posted: Runtime, bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(posted, FIRST)
    nowhere = place_of("s3://no-such-bucket/books", endpoint=bucket.server.endpoint)
    empty = place_of(f"s3://{bucket.name}/nothing", endpoint=bucket.server.endpoint)
    for place in (nowhere, empty):
        report = verify_path(place, posted.trust_path)
        assert (report.verdict, report.exit_status) == ("unverifiable", 2)
    ask = Bucket.ask
    for stop_at in range(1, 9):
        asked = 0

        def dying(self: Bucket, operation: str, *, stop_at: int = stop_at, **arguments: Any) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if asked >= stop_at:
                raise DependencyError("the service went away")
            return ask(self, operation, **arguments)

        monkeypatch.setattr(Bucket, "ask", dying)
        report = verify_path(bucket.place, posted.trust_path)
        assert (report.verdict, report.exit_status) == ("unverifiable", 2), (stop_at, report.as_lines())
        assert "went away" in report.failures[0].detail


def test_a_registry_that_was_not_read_at_first_is_not_passed_over(
    posted: Runtime, bucket: ArchiveBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the one that says a key was stolen: what was judged without it is no judgement."""
    export(posted, FIRST)
    ask, failed = Bucket.ask, list[str]()

    def once(self: Bucket, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation == "get_object" and arguments["Key"].endswith("keys.jsonl") and not failed:
            failed.append(arguments["Key"])
            raise DependencyError("the service went away")
        return ask(self, operation, **arguments)

    monkeypatch.setattr(Bucket, "ask", once)
    report = verify_path(bucket.place, posted.trust_path)
    assert (report.verdict, report.exit_status, len(failed)) == ("unverifiable", 2, 1), report.as_lines()
    assert verify_path(bucket.place, posted.trust_path).verdict == "verified"


def test_a_large_segment_streams_out_of_a_bucket_in_little_memory(posted: Runtime, bucket: ArchiveBucket) -> None:
    posted.ledger(BOOK).append([entry(number) for number in range(20, 1000)], Ask(actor=ME))
    result = export(posted, FIRST)
    name = f"{name_of(posted, result)}/{RECORDS_FILE}"
    data = gzip.decompress(read(posted, name))
    padded = b"".join(gzip.compress(data, 0) for _ in range(60))
    bucket.client.put_object(Bucket=bucket.name, Key="large", Body=padded)
    reader = Bucket(bucket.name, endpoint=bucket.server.endpoint)
    (version,) = reader.versions_of("large")
    tracemalloc.start()
    with reader.open(version) as source:
        while source.read(32 * 1024):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(padded) > 20_000_000
    assert peak < 4_000_000


def test_a_checkpoint_is_anchored_where_the_log_grew_and_only_there(posted: Runtime, bucket: ArchiveBucket) -> None:
    origin, anchored = posted.settings.origin_of(BOOK), dict[str, int]()
    assert anchor_checkpoints(posted, anchored) == [f"{origin}/checkpoints/{23:016d}"]
    assert anchor_checkpoints(posted, anchored) == []
    assert anchor_checkpoints(posted, {}) == []
    posted.ledger(BOOK).append([entry(20)], Ask(actor=ME))
    assert anchor_checkpoints(posted, anchored) == [f"{origin}/checkpoints/{24:016d}"]
    assert anchored_sizes(posted.archive, origin, after=0) == [23, 24]
    assert anchored_sizes(posted.archive, origin, after=23) == [24]
    export(posted, FIRST)
    posted.ledger(BOOK).append([entry(21)], Ask(actor=ME))
    anchor_checkpoints(posted, anchored)
    assert check_book(posted, BOOK).sound
    report = verify_path(bucket.place, posted.trust_path)
    assert report.verdict == "verified", report.as_lines()
    assert any("is anchored here: 2 records more" in note for note in report.notes)


def test_the_closes_check_is_red_over_a_trace_of_somebody_else(posted: Runtime, bucket: ArchiveBucket) -> None:
    import dagster as dg

    from orchestration.assets.outputs import segment_asset
    from orchestration.partitions import days_from
    from orchestration.resources import given_progress, given_runtime

    def check_of(day: date) -> dg.AssetCheckEvaluation:
        done = dg.materialize(
            [segment_asset(days_from(FIRST))],
            partition_key=day.isoformat(),
            resources={"runtime": given_runtime(posted), "progress": given_progress(None)},
        )
        (found,) = done.get_asset_check_evaluations()
        return found

    assert check_of(FIRST).passed
    key = next(key for key in bucket.all_keys() if key.endswith(RECORDS_FILE))
    bucket.client.delete_object(Bucket=bucket.name, Key=key)
    red = check_of(SECOND)
    assert not red.passed
    assert "delete marker" in str(red.metadata["failures"])
    assert len(list_segments(posted.archive, posted.settings.origin_of(BOOK))) == 2
