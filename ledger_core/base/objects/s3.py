"""Objects in a bucket that keeps every version and locks each until a day that is said when it is written.

Against a thief of the writing key the lock keeps the bytes, and nothing else: he can lay a newer version or a delete
marker over them, and lay his own under a name before we write it. So an object is the version that is asked for, else
the one written first; what else lies there is told, never read, and keeps nothing of ours from being written. Reading
is `log.bucket`'s. Invariant: nothing is written to a bucket that would let it be deleted.
"""

from __future__ import annotations

import hashlib
import io
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from ledger_core.base.objects.port import LOCK_SLACK, StoredObject, StoredVersion, Surveyed, name_parts
from ledger_core.errors import (
    ConfigurationError,
    CounterfoilError,
    DependencyError,
    IntegrityError,
    InvalidInput,
    NotFound,
)
from ledger_core.log.bucket import SCHEME, Bucket, ObjectVersion, first_written, oddities, parse_address
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.object_tree import ObjectPlace, ObjectTree

COPY_BYTES = 1024 * 1024
MAX_PUT_BYTES = 5 * 1024**3
"""What S3 takes in one request; at 140 bytes a packed record, 38 million records a night."""
CONFLICT_ATTEMPTS = 5
MAX_VERSIONS_TRIED = 20
"""Of a name that is taken before we write: after so many that are not what we would write, ours is laid over them."""
MAX_REMEMBERED = 100_000
"""Names of the last listing: fifty years of nights."""
COMPLIANCE, GOVERNANCE = "COMPLIANCE", "GOVERNANCE"

Clock = Callable[[], datetime]
Named = Iterator[tuple[str, list[ObjectVersion]]]


class S3Store:
    """Objects below `s3://bucket/prefix`, each locked in `mode` for `retention` from when it is written.

    `requires_compliance` refuses, as production does, any lock that somebody's right can lift.
    """

    def __init__(
        self,
        address: str,
        *,
        retention: timedelta,
        clock: Clock,
        mode: str = COMPLIANCE,
        requires_compliance: bool = False,
        endpoint: str | None = None,
        region: str | None = None,
    ) -> None:
        name, self._prefix = parse_address(address)
        self._bucket = Bucket(name, endpoint=endpoint, region=region)
        self._retention = retention
        self._clock = clock
        self._mode = mode
        self._requires_compliance = requires_compliance
        self._is_sound = False
        self._listed: dict[str, Sequence[ObjectVersion]] = {}

    @property
    def keeps_versions(self) -> bool:
        """Return True."""
        return True

    @property
    def uri(self) -> str:
        """Return `s3://bucket/prefix`, without a slash at the end."""
        return f"{SCHEME}{self._bucket.name}/{self._prefix}".rstrip("/")

    def require_locked(self) -> None:
        """Return if the bucket keeps versions and locks them; asked once, before anything is written.

        Raises `ConfigurationError` with the remedy, `DependencyError` while it does not answer.
        """
        if self._is_sound:
            return
        versioning = self._bucket.ask("get_bucket_versioning").get("Status")
        if versioning != "Enabled":
            raise self._unfit(f"keeps no versions (versioning is {versioning or 'off'})")
        lock = self._lock_configuration()
        if lock.get("ObjectLockEnabled") != "Enabled":
            raise self._unfit("has no object lock")
        default = lock.get("Rule", {}).get("DefaultRetention", {}).get("Mode")
        if self._requires_compliance and GOVERNANCE in (default, self._mode):
            raise self._unfit("locks in governance mode, which a right of its owner lifts")
        self._is_sound = True

    def put_once(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` as `name`, locked, once; see `ObjectStore.put_once`.

        Raises `IntegrityError` too when something lies over or under what was written just now.
        """
        key = self._key(name)
        self.require_locked()
        digest, size_bytes = self._measured(name, data)
        version_id = self._put(key, data, digest, IfNoneMatch="*")
        if version_id is None:
            return self._stored_already(name, key, digest.hex(), size_bytes)
        versions = self._bucket.versions_of(key)
        if [item.version_id for item in versions] != [version_id]:
            raise self._tampered(name, "; ".join(oddities(versions)) or "another version is listed than was written")
        return self._stored(name, digest.hex(), size_bytes, version_id, created=True)

    def put_own(self, name: str, data: bytes | Path) -> StoredObject:
        """Store `data` as `name`, locked, as a version of its own where somebody else was there first."""
        key = self._key(name)
        self.require_locked()
        digest, size_bytes = self._measured(name, data)
        version_id = self._put(key, data, digest, IfNoneMatch="*")
        if version_id is None:
            # It may be ours: of a writer beside this one, or of this one, whose first answer was lost on its way.
            for version in self.kept(name):
                if self._is_same(name, version, digest, size_bytes):
                    return self._stored(name, digest.hex(), size_bytes, str(version.version_id), created=False)
            version_id = self._put(key, data, digest)
        assert version_id is not None, "only a condition makes a write void"
        return self._stored(name, digest.hex(), size_bytes, version_id, created=True)

    def kept(self, name: str, *, slack: timedelta = LOCK_SLACK) -> Iterator[StoredVersion]:
        """Yield the versions that are locked about as long as one written now would be; of very many some."""
        found = [item for item in reversed(self._bucket.versions_of(self._key(name))) if not item.is_marker]
        now = self._clock()
        for item in found[:MAX_VERSIONS_TRIED]:
            if self._is_locked(item, max(now, now + self._retention - slack)):
                yield _version(item)

    def versions(self, name: str) -> Sequence[StoredVersion]:
        """Return every version, the oldest first, whatever hides them."""
        return [_version(item) for item in reversed(self._versions(name)) if not item.is_marker]

    def open(self, name: str, version_id: str | None = None) -> BinaryIO:
        """Open the version called so, else the one that was written first. Raises `NotFound`."""
        if version_id is None:
            return self._bucket.open(self._first(name))
        listed = next((item for item in self._versions(name) if item.version_id == version_id), None)
        found = listed or self._bucket.version(self._key(name), version_id)
        if found is None or found.is_marker:
            raise NotFound(f"object {name} has no version {version_id} in {self.uri}.")
        return self._bucket.open(found)

    def exists(self, name: str) -> bool:
        """Say whether `name` was ever stored, whatever hides it now."""
        return first_written(self._bucket.versions_of(self._key(name))) is not None

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix` and come behind `after`, hidden ones too, in order.

        What was listed last is remembered, so that to open all of it costs no second look at each name.
        """
        self._listed = {}
        for name, versions in self._names(prefix, after):
            first = first_written(versions)
            if first is not None:
                self._remember(name, versions)
                yield name

    def version_of(self, name: str) -> str | None:
        """Return the version that was written first. Raises `NotFound`."""
        return self._first(name).version_id

    def written_at(self, name: str) -> datetime:
        """Return when the version that was written first was, by the service's clock. Raises `NotFound`."""
        return self._first(name).written_at

    def survey(self, prefix: str = "") -> Iterator[Surveyed]:
        """Yield every name, hidden ones too, with all its versions; what was seen last is remembered, as by `list`."""
        self._listed = {}
        for name, versions in self._names(prefix):
            self._remember(name, versions)
            real = [_version(item) for item in reversed(versions) if not item.is_marker]
            yield name, real, list(oddities(versions))

    def foreign(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield what lies over an object, a delete marker or another version, name by name."""
        for name, versions in self._names(prefix):
            for what in oddities(versions):
                yield name, what

    def place(self, name: str) -> ObjectPlace:
        """Return where a verifier reads what is stored below `name`; it looks at the bucket anew."""
        key = self._key(name) if name else self._prefix
        return ObjectPlace(ObjectTree(self._bucket, key), key)

    def sweep(self, folder: str) -> None:
        """Do nothing: an object appears whole or not at all, and folders are names."""

    def _measured(self, name: str, data: bytes | Path) -> tuple[bytes, int]:
        digest, size_bytes = _digest(data)
        if size_bytes > MAX_PUT_BYTES:
            raise InvalidInput(
                f"{name} has {size_bytes:,} bytes, and one request takes {MAX_PUT_BYTES:,}.",
                remedy="Close smaller days: segments hold what was signed since the one before.",
            )
        return digest, size_bytes

    def _put(self, key: str, data: bytes | Path, digest: bytes, **condition: str) -> str | None:
        """Write the object and return its version, None where `condition` lets none be written."""
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                with _body(data) as body:
                    answer = self._bucket.ask(
                        "put_object",
                        Key=key,
                        Body=body,
                        ChecksumAlgorithm="SHA256",
                        ChecksumSHA256=b64encode(digest).decode(),
                        ObjectLockMode=self._mode,
                        ObjectLockRetainUntilDate=self._clock() + self._retention,
                        **condition,
                    )
            except CounterfoilError as error:
                code = error.context.get("s3_code")
                if code in ("PreconditionFailed", "412"):
                    return None
                if code != "ConditionalRequestConflict" or attempt + 1 == CONFLICT_ATTEMPTS:
                    raise
                time.sleep(0.2 * 2**attempt)  # somebody else is writing the same name
                continue
            version_id = answer.get("VersionId")
            if not version_id or version_id == "null":
                raise self._unfit("gave an object no version")
            return str(version_id)
        raise DependencyError(f"{SCHEME}{self._bucket.name}/{key} is being written by somebody else.")

    def _is_same(self, name: str, version: StoredVersion, digest: bytes, size_bytes: int) -> bool:
        """Say whether `version` holds the bytes that have this `digest`."""
        if version.size_bytes != size_bytes:
            return False
        found = hashlib.sha256()
        try:
            with self.open(name, version.version_id) as source:
                while chunk := source.read(COPY_BYTES):
                    found.update(chunk)
        except (NotFound, Unreadable):
            return False
        return found.digest() == digest

    def _stored_already(self, name: str, key: str, sha256: str, size_bytes: int) -> StoredObject:
        """Return the object that has the name, if it is the same and locked. Raises `IntegrityError`."""
        first = self._first(name)
        digest, stored_bytes = hashlib.sha256(), 0
        with self._bucket.open(first) as source:
            while chunk := source.read(COPY_BYTES):
                digest.update(chunk)
                stored_bytes += len(chunk)
        if digest.hexdigest() != sha256:
            raise IntegrityError(
                f"object {name} exists with other content: {stored_bytes} bytes of sha256 {digest.hexdigest()}; "
                f"refused {size_bytes} bytes of sha256 {sha256}.",
                remedy="Objects are written once. Find out who wrote the first one before anything else.",
                file=f"{SCHEME}{self._bucket.name}/{key}",
                finding="archive_edited",
            )
        if not self._is_locked(first, self._clock()):
            raise self._tampered(name, "it is there already, and no lock keeps it")
        return self._stored(name, sha256, size_bytes, first.version_id, created=False)

    def _is_locked(self, version: ObjectVersion, until_day: datetime) -> bool:
        """Say whether `version` cannot be deleted until then; an own write could not have left it otherwise."""
        try:
            answer = self._bucket.ask("get_object_retention", Key=version.key, VersionId=version.version_id)
        except CounterfoilError as error:
            if error.context.get("s3_code") == "NoSuchObjectLockConfiguration":
                return False
            raise
        lock = answer.get("Retention", {})
        until = lock.get("RetainUntilDate")
        return lock.get("Mode") in (COMPLIANCE, self._mode) and until is not None and until > until_day

    def _stored(self, name: str, sha256: str, size_bytes: int, version_id: str, *, created: bool) -> StoredObject:
        return StoredObject(
            name=name,
            uri=f"{self.uri}/{name}",
            sha256=sha256,
            size_bytes=size_bytes,
            created=created,
            version_id=version_id,
        )

    def _first(self, name: str) -> ObjectVersion:
        found = first_written(self._versions(name))
        if found is None:
            raise NotFound(f"object {name} is not in {self.uri}.")
        return found

    def _versions(self, name: str) -> Sequence[ObjectVersion]:
        return self._listed.get(name) or self._bucket.versions_of(self._key(name))

    def _remember(self, name: str, versions: Sequence[ObjectVersion]) -> None:
        if len(self._listed) < MAX_REMEMBERED:
            self._listed[name] = versions

    def _names(self, prefix: str, after: str = "") -> Named:
        start = f"{self._prefix}/" if self._prefix else ""
        for key, versions in self._bucket.versions(start + prefix, after=start + after if after else ""):
            yield key.removeprefix(start), versions

    def _key(self, name: str) -> str:
        return "/".join([*([self._prefix] if self._prefix else []), *name_parts(name)])

    def _lock_configuration(self) -> dict[str, Any]:
        try:
            answer = self._bucket.ask("get_object_lock_configuration")
        except CounterfoilError as error:
            if error.context.get("s3_code") == "ObjectLockConfigurationNotFoundError":
                return {}
            raise
        found: dict[str, Any] = answer.get("ObjectLockConfiguration", {})
        return found

    def _unfit(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"the bucket {self._bucket.name} {what}: what is archived there could be deleted.",
            remedy="Make one with versioning and object lock in compliance mode: docs/runbooks/archive.md says how.",
        )

    def _tampered(self, name: str, what: str) -> IntegrityError:
        return IntegrityError(
            f"{name}: {what}.",
            remedy="Somebody else can write to the archive: see docs/runbooks/archive.md.",
            file=f"{self.uri}/{name}",
            finding="archive_foreign",
        )


def _version(item: ObjectVersion) -> StoredVersion:
    return StoredVersion(version_id=item.version_id, size_bytes=item.size_bytes, written_at=item.written_at)


def _body(data: bytes | Path) -> AbstractContextManager[BinaryIO]:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


def _digest(data: bytes | Path) -> tuple[bytes, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with _body(data) as source:
        while chunk := source.read(COPY_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return digest.digest(), size_bytes
