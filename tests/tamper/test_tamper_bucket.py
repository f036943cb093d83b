"""Attacks on an archive in a bucket by whoever stole the key that writes to it: the lock holds, every trace is told.

A night or two are archived once a module, in a real S3 service with object lock; each attack gets a copy of the bucket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ledger_core.errors import IntegrityError
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.bucket import Bucket
from ledger_core.log.findings import VerificationReport
from ledger_core.runtime import open_runtime
from tests.tamper.conftest import (
    BOOK,
    BUCKET_DATABASE,
    EARLIER_BUCKET_DATABASE,
    THIRD,
    Archived,
    Attacked,
    Company,
)

pytestmark = pytest.mark.tamper


def details(report: VerificationReport) -> str:
    return "\n".join(map(str, report.failures))


def test_what_nobody_touched_verifies_and_checks(archived: Archived) -> None:
    attacked = archived.attacked()
    report = attacked.verify()
    assert (report.verdict, report.segments, report.exit_status) == ("verified", 2, 0), details(report)
    checked = attacked.check()
    assert checked.sound, checked.as_lines()


@pytest.mark.parametrize("file", ["records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"])
def test_a_newer_version_over_an_object_is_foreign_and_never_read(archived: Archived, file: str) -> None:
    attacked = archived.attacked()
    key = attacked.key(f"/{file}")
    attacked.put(key, b"forged")
    report = attacked.verify()
    # What was signed is read by its version and still holds: the only failure is the trace.
    assert [item.verdict for item in report.failures] == ["foreign"], details(report)
    assert key in report.failures[0].where
    assert "newer version" in report.failures[0].detail
    assert (report.exit_status, report.segments) == (1, 2)
    assert attacked.check().codes == {"archive_foreign"}
    (told,) = attacked.export().foreign
    assert told.startswith(key.removeprefix("books/"))


@pytest.mark.parametrize("file", ["records.jsonl.gz", "manifest.dsse.json"])
def test_a_delete_marker_is_foreign_and_hides_nothing(archived: Archived, file: str) -> None:
    attacked = archived.attacked()
    key = attacked.key(f"/{file}", segment=2)
    attacked.hide(key)
    report = attacked.verify()
    assert [item.verdict for item in report.failures] == ["foreign"], details(report)
    assert "delete marker" in report.failures[0].detail
    assert report.segments == 2
    assert attacked.check().codes == {"archive_foreign"}
    assert "delete marker" in attacked.export().foreign[0]


def test_a_whole_archive_that_was_hidden_is_not_an_empty_one(archived: Archived) -> None:
    attacked = archived.attacked()
    for key in attacked.bucket.all_keys():
        attacked.hide(key)
    report = attacked.verify()
    assert {item.verdict for item in report.failures} == {"foreign"}
    assert (report.segments, len(report.failures)) == (2, 9)


def test_the_same_bytes_again_as_a_newer_version_are_foreign_too(archived: Archived) -> None:
    attacked = archived.attacked()
    key = attacked.key("/manifest.dsse.json")
    attacked.put(key, attacked.content(key))
    assert attacked.verify().verdict == "foreign"


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "counterfoil.localhost/test/main/segments/2026/03/30/{segment}/extra.bin",
        "counterfoil.localhost/test/main/checkpoints/latest",
        "counterfoil.localhost/test/other/anything",
    ],
)
def test_an_object_that_no_manifest_names_is_foreign(archived: Archived, name: str) -> None:
    attacked = archived.attacked()
    segment = attacked.key("/checkpoint").split("/")[-2]
    attacked.put(f"books/{name.format(segment=segment)}", b"mine")
    report = attacked.verify()
    assert [item.verdict for item in report.failures] == ["foreign"], details(report)
    assert "no manifest names it" in report.failures[0].detail


def test_a_segment_of_somebody_elses_is_no_segment_and_stops_no_night(archived: Archived) -> None:
    attacked = archived.attacked()
    folder = attacked.key("/checkpoint", segment=2).rpartition("/")[0]
    forged = folder.replace("/31/0000000002-", "/31/0000000003-")
    for name in ("records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"):
        attacked.put(f"{forged}/{name}", attacked.content(f"{folder}/{name}"))
    report = attacked.verify()
    assert ([item.verdict for item in report.failures], report.segments) == (["foreign"], 2), details(report)
    assert f"its manifest is that of {folder.removeprefix('books/')}" in report.failures[0].detail
    assert attacked.check().codes == {"archive_foreign"}


def test_a_version_that_a_manifest_names_and_the_service_lost_is_missing(archived: Archived) -> None:
    """The lock is the service's: whoever owns its disks can undo it, and leave the same name with another version."""
    attacked = archived.attacked()
    for ending, segment in (("/records.jsonl.gz", 1), ("/manifest.dsse.json", 1)):
        again = attacked.attacked()
        key = again.key(ending, segment)
        data = again.content(key)
        path = again.bucket.server.folder / "data" / again.bucket.name / key
        path.unlink()
        again.put(key, data)
        report = again.verify()
        assert report.verdict == "missing", details(report)
        assert "which a manifest names" in details(report)


def test_the_lock_holds_against_the_key_that_writes(archived: Archived) -> None:
    attacked = archived.attacked()
    key = attacked.key("/records.jsonl.gz")
    reader = Bucket(attacked.bucket.name, endpoint=attacked.bucket.server.endpoint)
    (version,) = reader.versions_of(key)
    for more in ({}, {"BypassGovernanceRetention": True}):
        with pytest.raises(ClientError, match="AccessDenied"):
            attacked.bucket.client.delete_object(
                Bucket=attacked.bucket.name, Key=key, VersionId=version.version_id, **more
            )
    assert attacked.verify().verdict == "verified"


def test_a_rewritten_database_is_not_signed_over_into_a_bucket(archived: Archived, company: Company) -> None:
    attacked = archived.attacked()
    with attacked.opened() as runtime:
        sql = Attacked(runtime=runtime, company=company).sql
        changed = "set canonical = convert_to(replace(convert_from(canonical, 'UTF8'), 'order 45', 'order 99'), 'UTF8')"
        back = "set canonical = convert_to(replace(convert_from(canonical, 'UTF8'), 'order 99', 'order 45'), 'UTF8')"
        where = "where position('order 45' in convert_from(canonical, 'UTF8')) > 0"
        before = attacked.bucket.all_keys()
        assert sql(f"update ledger.records {changed} {where}") == 1
        try:
            with pytest.raises(IntegrityError, match="differs from archived segment 2") as refused:
                export_segment(runtime, closed_on=THIRD, book=BOOK)
        finally:
            assert sql(f"update ledger.records {back} {where.replace('45', '99')}") == 1
    assert refused.value.context["finding"] == "records_edited"
    assert attacked.bucket.all_keys() == before


def test_an_anchor_that_no_key_signed_is_foreign(archived: Archived) -> None:
    attacked = archived.attacked()
    anchor = next(key for key in attacked.bucket.all_keys() if "/checkpoints/" in key)
    forged = f"{anchor.rpartition('/')[0]}/{10**9:016d}"
    attacked.put(forged, attacked.content(anchor))
    report = attacked.verify()
    assert (report.verdict, forged in report.failures[0].where) == ("foreign", True), details(report)
    assert attacked.check().codes == {"archive_foreign"}


def test_a_database_behind_an_anchor_is_found_though_no_segment_holds_its_end(archived: Archived) -> None:
    attacked = archived.attacked()
    earlier = attacked.settings.model_copy(
        update={"database_url": str(attacked.settings.database_url).replace(BUCKET_DATABASE, EARLIER_BUCKET_DATABASE)}
    )
    with open_runtime(earlier) as runtime:
        report = check_book(runtime, BOOK)
    assert "behind_archive" in report.codes
    assert any("is anchored" in finding.detail for finding in report.findings), report.as_lines()


def test_a_proxy_whose_folder_was_put_back_is_refused_by_the_anchors_in_the_bucket(
    archived: Archived, tmp_path: Path
) -> None:
    put_back = tmp_path / "signer"
    shutil.copytree(archived.earlier_signer, put_back)
    arguments = [
        sys.executable, "-m", "ledger_core.signing.proxy", "--socket", str(tmp_path / "s" / "proxy.sock"),
        "--state", str(put_back), "--trust", str(archived.settings.home / "trust.json"),
        "--origin-prefix", archived.settings.origin_prefix, "--archive", str(archived.settings.archive.url),
    ]  # fmt: skip
    endpoint = {"COUNTERFOIL_ARCHIVE__ENDPOINT": archived.bucket.server.endpoint, "COUNTERFOIL_ENV": "test"}
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env={**os.environ, **endpoint})
    assert done.returncode == 2
    assert "older than the archive" in done.stderr


def test_a_proxy_does_not_start_while_the_archive_does_not_answer(archived: Archived, tmp_path: Path) -> None:
    put_back = tmp_path / "signer"
    shutil.copytree(archived.earlier_signer, put_back)
    arguments = [
        sys.executable, "-m", "ledger_core.signing.proxy", "--socket", str(tmp_path / "s" / "proxy.sock"),
        "--state", str(put_back), "--trust", str(archived.settings.home / "trust.json"),
        "--origin-prefix", archived.settings.origin_prefix, "--archive", "s3://no-such-bucket/books",
    ]  # fmt: skip
    endpoint = {"COUNTERFOIL_ARCHIVE__ENDPOINT": archived.bucket.server.endpoint, "COUNTERFOIL_ENV": "test"}
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env={**os.environ, **endpoint})
    assert (done.returncode, "no bucket no-such-bucket" in done.stderr) == (2, True)
