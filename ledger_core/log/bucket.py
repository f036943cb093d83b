"""A bucket as whoever trusts nobody reads it: every version of every object, whatever was laid over it since.

Shared by the verifier, the signing proxy and the store that writes the archive. Reading alone: nothing here changes a
bucket. boto3 is loaded when a bucket is looked at and not before; credentials come by its own chain. Every failure is
one of the error tree's, with what to do: a bucket that cannot be read is never taken for one that is empty.
"""

from __future__ import annotations

import io
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, InvalidInput, NotFound
from ledger_core.log import patience
from ledger_core.log.bucket_errors import Overfilled, Unreadable, told, too_slow
from ledger_core.log.patience import OutOfPatienceError, Patience

SCHEME = "s3://"
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 4
"""Of each request, with growing pauses; a body that breaks off is asked for again from there."""
BUFFER_BYTES = 256 * 1024
MAX_VERSIONS_KEPT = 1_000
"""Of one key, of the newest and of the oldest each: whoever may write can lay any number over one another."""
MAX_PAGES = 20_000
"""Of one listing: twenty million names."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """One version of an object, or a delete marker, which has no bytes and hides those below it."""

    key: str
    version_id: str
    size_bytes: int
    is_marker: bool
    written_at: datetime


def parse_address(address: str) -> tuple[str, str]:
    """Return bucket and prefix (without slashes around it) of `s3://bucket/prefix`. Raises `InvalidInput`."""
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    if not address.startswith(SCHEME) or _BUCKET.match(bucket) is None:
        raise InvalidInput(f"{address!r:.200} is no address of a bucket.", remedy="Write s3://bucket/prefix.")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise InvalidInput(f"{address!r:.200} has a part without a name.", remedy="Write s3://bucket/prefix.")
    return bucket, prefix


class Bucket:
    """A bucket by name; `endpoint` and `region` None leave the choice to boto3's own settings."""

    def __init__(self, name: str, *, endpoint: str | None = None, region: str | None = None) -> None:
        self.name = name
        self._endpoint = endpoint
        self._region = region
        self._has_read = False
        self._unreadable: Unreadable | None = None

    @cached_property
    def client(self) -> Any:
        """The S3 client. Raises `ConfigurationError` without boto3, and for settings of its own that do not fit."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ConfigurationError(
                "an address that begins with s3:// needs boto3, which is not installed here.",
                remedy="pip install 'counterfoil[archive]', or boto3 beside the verifier in one file; or copy the "
                "objects into a folder and verify that.",
            ) from error
        with told(self.name, "open"):
            made = boto3.session.Session().client(
                "s3",
                endpoint_url=self._endpoint,
                region_name=self._region,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                    s3={"addressing_style": "path"} if self._endpoint else None,
                    # Checksums are our own: SHA-256 of the whole, named in the manifest.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        patience.bound_connections(made)
        return made

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Do one request on this bucket. Raises `NotFound`, `ConfigurationError` or `DependencyError`."""
        call = getattr(self.client, operation)
        waiting = Patience(patience.CALL_SECONDS, patience.MAX_ANSWER_BYTES)
        with told(self.name, operation, arguments.get("Key")), patience.one_call(waiting):
            answer: dict[str, Any] = call(Bucket=self.name, **arguments)
        patience.earn_answer()
        return answer

    def versions(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, list[ObjectVersion]]]:
        """Yield each key that starts with `prefix` and comes behind `after`, with its versions, the newest first.

        Of a key with more versions than anybody reads, the newest and the oldest are kept.
        """
        waiting: dict[str, _Versions] = {}
        for page in self._pages(prefix, after):
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                found = ObjectVersion(
                    key=item["Key"],
                    version_id=item["VersionId"],
                    size_bytes=item.get("Size", 0),
                    is_marker="Size" not in item,
                    written_at=item["LastModified"],
                )
                # Some services begin a page with what ended the one before.
                if found.key > after:
                    waiting.setdefault(found.key, _Versions()).add(found)
            # The versions of the last key may go on with the next page.
            last = page["NextKeyMarker"] if page.get("IsTruncated") else ""
            for key in sorted(waiting):
                if key != last:
                    yield key, waiting.pop(key).newest_first()

    def version(self, key: str, version_id: str) -> ObjectVersion | None:
        """Return one version of `key`, asked for by its id; None where it is not there."""
        try:
            found = self.ask("head_object", Key=key, VersionId=version_id)
        except NotFound:
            return None
        except CounterfoilError as error:
            # What is no id of this service's, and what is a delete marker.
            if error.context.get("s3_code") in ("400", "405", "InvalidArgument", "MethodNotAllowed"):
                return None
            raise
        return ObjectVersion(
            key=key,
            version_id=version_id,
            size_bytes=found["ContentLength"],
            is_marker=False,
            written_at=found["LastModified"],
        )

    def versions_of(self, key: str) -> list[ObjectVersion]:
        """Return the versions of `key`, the newest first; none where there is no such object and never was."""
        # Whoever can write can lay any number of keys there that begin so; the key itself is the first of them.
        first = next(self.versions(key), None)
        return first[1] if first is not None and first[0] == key else []

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the prefixes, ended by a slash, that are one part longer than `prefix` is."""
        for page in self._pages(prefix, "", Delimiter="/"):
            yield from (item["Prefix"] for item in page.get("CommonPrefixes", ()))

    def _pages(self, prefix: str, after: str, **more: str) -> Iterator[dict[str, Any]]:
        marks = {"KeyMarker": after} if after else {}
        for _ in range(MAX_PAGES):
            page = self.ask("list_object_versions", Prefix=prefix, **more, **marks)
            if not _is_listing(page):
                raise DependencyError(
                    f"what answers for the bucket {self.name} is no listing of versions.",
                    retryable=False,
                    remedy="See COUNTERFOIL_ARCHIVE__ENDPOINT: is that an S3 service, and does it keep versions?",
                )
            yield page
            if not page["IsTruncated"]:
                return
            next_marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}
            if next_marks == marks or next_marks["KeyMarker"] < marks.get("KeyMarker", ""):
                raise DependencyError(
                    f"the bucket {self.name} lists in a circle at {next_marks['KeyMarker']!r:.200}.", retryable=False
                )
            marks = next_marks
        raise Overfilled(
            f"the bucket {self.name} lists more than {MAX_PAGES:,} pages below {prefix!r:.200}.",
            retryable=False,
            remedy="See docs/runbooks/archive.md: somebody else fills the archive.",
        )

    def read_anybodys(self, version: ObjectVersion, limit_bytes: int) -> bytes | None:
        """Return the bytes of a version that may be anybody's; None for more than `limit_bytes` and where none are had.

        One that cannot be read by us is somebody else's; where nothing can be read, `require_readable` says why.
        """
        if version.size_bytes > limit_bytes:
            return None
        try:
            with self.open(version) as file:
                data = file.read(limit_bytes + 1)
        except NotFound:
            return None
        except Unreadable as error:
            self._unreadable = error
            return None
        self._has_read = True
        return data

    def require_readable(self) -> None:
        """Raise what kept everything of anybody's from being read: a right that is lacking, and no thief."""
        if self._unreadable is not None and not self._has_read:
            raise self._unreadable

    def open(self, version: ObjectVersion) -> io.BufferedReader:
        """Open one version for reading, from any place in it."""
        return io.BufferedReader(_VersionReader(self, version), BUFFER_BYTES)


class _Versions:
    """The versions of one key as they are listed: all of a few, both ends of many."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._newest: list[ObjectVersion] = []
        self._oldest: deque[ObjectVersion] = deque(maxlen=MAX_VERSIONS_KEPT)

    def add(self, found: ObjectVersion) -> None:
        if found.version_id in self._seen:
            return
        if len(self._seen) > 2 * MAX_VERSIONS_KEPT:
            self._seen.clear()  # what is listed twice ends one page and begins the next
        self._seen.add(found.version_id)
        (self._newest if len(self._newest) < MAX_VERSIONS_KEPT else self._oldest).append(found)

    def newest_first(self) -> list[ObjectVersion]:
        return [*self._newest, *self._oldest]


def _is_listing(page: dict[str, Any]) -> bool:
    """Say whether `page` is a listing of versions: an answer of something else must not pass for an empty one."""
    if "IsTruncated" not in page or (page["IsTruncated"] and "NextKeyMarker" not in page):
        return False
    items = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    return all({"Key", "VersionId", "LastModified"} <= item.keys() for item in items)


def first_written(versions: Sequence[ObjectVersion]) -> ObjectVersion | None:
    """Return the version that was there first: what was written once is that one, whatever lies over it now."""
    real = [item for item in versions if not item.is_marker]
    return real[-1] if real else None


def oddities(versions: Sequence[ObjectVersion]) -> Iterator[str]:
    """Yield what about `versions` of one key cannot come from a writer who writes each name once."""
    markers = [item for item in versions if item.is_marker]
    if markers:
        yield f"a delete marker hides it (version {markers[0].version_id})"
    real = [item for item in versions if not item.is_marker]
    if len(real) > 1:
        yield f"{len(real) - 1} newer versions were written over it, the newest {real[0].version_id}"


class _VersionReader(io.RawIOBase):
    """Reads one version by ranges; a body that breaks off goes on from where it broke."""

    def __init__(self, bucket: Bucket, version: ObjectVersion) -> None:
        self._bucket = bucket
        self._version = version
        self._place = 0
        self._body: Any = None
        self._patience = Patience(patience.CALL_SECONDS)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._version.size_bytes}[whence]
        if base + offset != self._place:
            self._drop()
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        if self._place >= self._version.size_bytes:
            return 0
        for attempt in range(ATTEMPTS):
            with self._broken_off(is_last=attempt + 1 == ATTEMPTS), patience.one_call(self._patience):
                data: bytes = self._opened().read(min(len(buffer), self._version.size_bytes - self._place))
                if data:
                    buffer[: len(data)] = data
                    self._place += len(data)
                    return len(data)
                raise EOFError
        raise AssertionError("the last attempt raises")

    def close(self) -> None:
        self._drop()
        super().close()

    def _opened(self) -> Any:
        if self._body is None:
            answer = self._bucket.ask(
                "get_object",
                Key=self._version.key,
                VersionId=self._version.version_id,
                Range=f"bytes={self._place}-",
            )
            self._body = answer["Body"]
        return self._body

    @contextmanager
    def _broken_off(self, *, is_last: bool) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError

        try:
            yield
        except OutOfPatienceError as error:
            self._drop()
            raise too_slow(self._bucket.name, error) from error
        except (BotoCoreError, OSError, EOFError) as error:
            self._drop()
            if is_last:
                raise DependencyError(
                    f"{SCHEME}{self._bucket.name}/{self._version.key} breaks off at byte {self._place}: {error}.",
                    remedy="Nothing was decided about it: try again.",
                ) from error

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
