"""What the archive's writer lays into a bucket as its own: once, however many write it, and for as long as is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger_core.base.objects.s3 import S3Store
from tests.conftest import ArchiveBucket

pytestmark = pytest.mark.integration

NAME = "origin/segments/one"


def test_what_is_our_own_is_written_once_by_two_writers_and_after_an_answer_that_was_lost(
    bucket: ArchiveBucket,
) -> None:
    """A version of ours over one of ours would be told for ever as somebody else's."""
    first = bucket.store().put_own(NAME, b"content")
    again = bucket.store().put_own(NAME, b"content")
    assert (first.created, again.created, again.version_id) == (True, False, first.version_id)
    other = bucket.store().put_own(NAME, b"CONTENT")
    assert other.created
    assert bucket.store().put_own(NAME, b"CONTENT").version_id == other.version_id
    bucket.client.put_object(Bucket=bucket.name, Key=f"books/{NAME}-unlocked", Body=b"content")
    assert bucket.store().put_own(f"{NAME}-unlocked", b"content").created, "what no lock keeps is not ours"
    assert [len(versions) for _, versions, _ in bucket.store().survey()] == [2, 2]


def test_what_was_locked_months_ago_is_kept_as_long_as_the_slack_says(bucket: ArchiveBucket) -> None:
    def store(days: int) -> S3Store:
        return S3Store(
            f"s3://{bucket.name}/books",
            retention=timedelta(days=400),
            clock=lambda: datetime.now(UTC) + timedelta(days=days),
            endpoint=bucket.server.endpoint,
        )

    store(0).put_own(NAME, b"content")
    year = timedelta(days=365)
    assert [len(list(store(days).kept(NAME))) for days in (0, 60)] == [1, 0]
    assert [len(list(store(days).kept(NAME, slack=year))) for days in (60, 364, 366)] == [1, 1, 0]
