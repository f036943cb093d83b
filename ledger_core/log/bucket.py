"""A bucket as whoever trusts nobody reads it: every version of every object, whatever was laid over it since.

Shared by the verifier, the signing proxy and the store that writes the archive. Reading alone: nothing here changes a
bucket. boto3 is loaded when a bucket is looked at and not before; credentials come by its own chain. Every failure is
one of the error tree's, with what to do: a bucket that cannot be read is never taken for one that is empty.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, InvalidInput, NotFound

SCHEME = "s3://"
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 4
"""Of each request, with growing pauses; a body that breaks off is asked for again from there."""
BUFFER_BYTES = 256 * 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")

_NO_BUCKET = frozenset({"NoSuchBucket"})
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"})
_UNKNOWN_KEY = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "UnrecognizedClientException", "XAdminUserNotFound"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed"})
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "500", "503"})


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
        with _told(self.name, "open"):
            return boto3.session.Session().client(
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

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Do one request on this bucket. Raises `NotFound`, `ConfigurationError` or `DependencyError`."""
        call = getattr(self.client, operation)
        with _told(self.name, operation, arguments.get("Key")):
            answer: dict[str, Any] = call(Bucket=self.name, **arguments)
        return answer

    def versions(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, list[ObjectVersion]]]:
        """Yield each key that starts with `prefix` and comes behind `after`, with its versions, the newest first."""
        waiting: dict[str, dict[str, ObjectVersion]] = {}
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
                    waiting.setdefault(found.key, {}).setdefault(found.version_id, found)
            # The versions of the last key may go on with the next page.
            last = page["NextKeyMarker"] if page.get("IsTruncated") else ""
            for key in sorted(waiting):
                if key != last:
                    yield key, list(waiting.pop(key).values())

    def versions_of(self, key: str) -> list[ObjectVersion]:
        """Return the versions of `key`, the newest first; none where there is no such object and never was."""
        return next((versions for found, versions in self.versions(key) if found == key), [])

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the prefixes, ended by a slash, that are one part longer than `prefix` is."""
        for page in self._pages(prefix, "", Delimiter="/"):
            yield from (item["Prefix"] for item in page.get("CommonPrefixes", ()))

    def _pages(self, prefix: str, after: str, **more: str) -> Iterator[dict[str, Any]]:
        marks = {"KeyMarker": after} if after else {}
        while True:
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

    def open(self, version: ObjectVersion) -> io.BufferedReader:
        """Open one version for reading, from any place in it."""
        return io.BufferedReader(_VersionReader(self, version), BUFFER_BYTES)


def _is_listing(page: dict[str, Any]) -> bool:
    """Say whether `page` is a listing of versions: an answer of something else must not pass for an empty one."""
    if "IsTruncated" not in page or (page["IsTruncated"] and "NextKeyMarker" not in page):
        return False
    items = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    return all({"Key", "VersionId", "LastModified"} <= item.keys() for item in items)


def first_written(versions: list[ObjectVersion]) -> ObjectVersion | None:
    """Return the version that was there first: what was written once is that one, whatever lies over it now."""
    real = [item for item in versions if not item.is_marker]
    return real[-1] if real else None


def oddities(versions: list[ObjectVersion]) -> Iterator[str]:
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
            with self._broken_off(is_last=attempt + 1 == ATTEMPTS):
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


@contextmanager
def _told(bucket: str, operation: str, key: str | None = None) -> Iterator[None]:
    """Raise what botocore raises as one of the error tree's."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _of_answer(error, bucket, operation, key) from error
    except BotoCoreError as error:
        raise _of_client(error, bucket) from error
    except (ResponseParserError, ValueError) as error:
        # An endpoint that is none, a number or a time in an answer that is none.
        raise DependencyError(
            f"the bucket {bucket} cannot be read: {error}.",
            retryable=False,
            remedy="See COUNTERFOIL_ARCHIVE__ENDPOINT.",
        ) from error


def _of_answer(error: Any, bucket: str, operation: str, key: str | None) -> CounterfoilError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    context: dict[str, Any] = {"s3_code": code, "operation": operation}
    where = f"{SCHEME}{bucket}/{key}" if key else f"{SCHEME}{bucket}"
    if code in _NO_BUCKET:
        return ConfigurationError(f"there is no bucket {bucket}.", remedy="See COUNTERFOIL_ARCHIVE__URL.", **context)
    if code in _ABSENT:
        return NotFound(f"{where} is not there.", **context)
    if code in _DENIED:
        return ConfigurationError(
            f"the bucket {bucket} denies {operation} to whose credentials these are.",
            remedy="docs/runbooks/archive.md has the rights that each side needs, and no others.",
            **context,
        )
    if code in _UNKNOWN_KEY:
        return ConfigurationError(
            f"the credentials are not known to {where}: {code}.",
            remedy="They come by boto3's own chain: environment, profile, role of the machine.",
            **context,
        )
    if code in _EXPIRED:
        return ConfigurationError(
            "the credentials have expired.", remedy="Renew the session that they come from.", **context
        )
    if code in _ELSEWHERE:
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or "another region"
        return ConfigurationError(
            f"the bucket {bucket} is in {region}.", remedy="Set COUNTERFOIL_ARCHIVE__REGION to that.", **context
        )
    if code in _SKEWED:
        return ConfigurationError(
            "this machine's clock is too far from the store's.", remedy="Set the clock, by NTP.", **context
        )
    message = f"{where} answers {operation} with {code or status}: {answer.get('Error', {}).get('Message', '')}"
    return DependencyError(
        message.strip(" :") + ".",
        retryable=code in _BUSY or status >= 500,
        remedy="Try again; then look at the store's own log.",
        **context,
    )


def _of_client(error: Any, bucket: str) -> CounterfoilError:
    """Return the error for what never became an answer: no credentials, no region, no connection."""
    from botocore import exceptions as botocore

    no_credentials = (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.ProfileNotFound,
        botocore.SSOError,
        botocore.TokenRetrievalError,
    )
    if isinstance(error, no_credentials):
        return ConfigurationError(
            f"there are no credentials for the bucket {bucket}: {error}.".replace("..", "."),
            remedy="They come by boto3's own chain: environment, profile, role of the machine.",
        )
    if isinstance(error, (botocore.NoRegionError, botocore.InvalidRegionError, botocore.ParamValidationError)):
        return ConfigurationError(f"{error}.".replace("..", "."), remedy="Set COUNTERFOIL_ARCHIVE__REGION.")
    return DependencyError(
        f"the bucket {bucket} does not answer: {error}.".replace("..", "."), remedy="Try again when it does."
    )
