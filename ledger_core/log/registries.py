"""The key registries that one verification meets: each file read once, the newest judges, two of a version fork.

Every segment, every proof, and whoever keeps the trust file may bring a `keys.jsonl`. The chain that reaches furthest
says what is known now, so that a key revoked later is known to be, however short a file the forger brought. All of them
must tell one history, and the newest must reach the version that is pinned: an old segment brings an old file rightly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from ledger_core.errors import CannotRun, CounterfoilError, IntegrityError
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.findings import BAD_SIGNATURE, EDITED, FORKED, Failure
from ledger_core.log.keys import KeyRing, TrustFile, require_pinned_version, resolve_keys
from ledger_core.log.object_tree import Place
from ledger_core.log.reading import read_bounded
from ledger_core.log.segment import KEYS_FILE

MAX_KEYS_BYTES = 16 * 1024 * 1024


class Registries:
    """What the pinned roots vouch for, of all registries seen so far."""

    def __init__(self, trust: TrustFile) -> None:
        self.trust = trust
        self._newest: KeyRing | None = None
        self._documents: dict[int, str] = {}
        self._read: dict[bytes, KeyRing] = {}

    @property
    def newest(self) -> KeyRing | None:
        """The ring that judges, None while there is none as new as the one that is pinned."""
        found = self._newest
        return None if found is None or found.version < self.trust.registry_version else found

    def key_ids(self) -> frozenset[str]:
        """Return the ids of all keys and roots that are known to be the company's."""
        ring = self._newest
        roots = self.trust.roots if ring is None else (*self.trust.roots, *ring.roots)
        keys = () if ring is None else ring.keys
        return frozenset((*(key.key_id for key in roots), *(item.key.key_id for item in keys)))

    def add_folders(self, folders: Iterable[Place]) -> None:
        """Take in the registry of each of `folders`; a broken one is reported where its own segment is checked."""
        for folder in folders:
            try:
                self.read(folder)
            except CannotRun:
                raise  # a bucket that did not answer may hold the version that ends a key
            except CounterfoilError:
                continue

    def read(self, folder: Place) -> KeyRing | None:
        """Return the registry in `folder`, None if there is none. Raises as `resolve_keys` does."""
        data = read_bounded(folder / KEYS_FILE, MAX_KEYS_BYTES)
        return None if data is None else self.take(data)

    def take(self, data: bytes) -> KeyRing:
        """Return the registry that a file of `data` is. Raises as `resolve_keys` does."""
        digest = sha256(data).digest()
        if digest not in self._read:
            # One line after another: what stands behind a line that does not hold is never unpacked.
            self._read[digest] = self._resolve(parse_envelope(line) for line in data.split(b"\n") if line)
        return self._reaching(self._read[digest])

    def resolve(self, envelopes: Sequence[Envelope]) -> KeyRing:
        """Return the registry made of `envelopes`. Raises as `resolve_keys` does."""
        return self._reaching(self._resolve(envelopes))

    def _resolve(self, envelopes: Iterable[Envelope]) -> KeyRing:
        seen: list[str] = []

        def passing() -> Iterator[Envelope]:
            for envelope in envelopes:
                seen.append(sha256(envelope.payload).hexdigest())
                yield envelope

        try:
            ring = resolve_keys(self.trust, passing(), may_be_older=True)
        except IntegrityError:
            # All of it from before the pinned roots, and what they signed leads back to it: as good as theirs.
            if self._newest is None or not seen or not set(seen) <= set(self._documents.values()):
                raise
            return self._newest
        if self._newest is None or ring.version > self._newest.version:
            self._newest = ring
            self._documents.update(ring.documents)
        for version, digest in ring.documents:
            self._documents.setdefault(version, digest)
        return ring

    def _reaching(self, ring: KeyRing) -> KeyRing:
        assert self._newest is not None
        require_pinned_version(self.trust, self._newest.version)
        return ring

    def fork(self, version: int, digest: str) -> bool:
        """Say whether another document of that version was seen than the one of `digest`."""
        return self._documents.get(version, digest) != digest

    def forked_version(self, ring: KeyRing) -> int | None:
        """Return the first version of which `ring` has another document than the newest registry has."""
        return next((version for version, digest in ring.documents if self.fork(version, digest)), None)


def registry_failure(error: CounterfoilError, where: str) -> Failure:
    """Return what is wrong with a registry that `resolve_keys` or `parse_envelope` refused."""
    verdict = error.context.get("verdict", BAD_SIGNATURE) if isinstance(error, IntegrityError) else EDITED
    return Failure(verdict=verdict, seq=None, where=where, detail=error.message)


def fork_failure(version: int, where: str) -> Failure:
    """Return the failure for two registries of one version."""
    return Failure(verdict=FORKED, seq=None, where=where, detail=f"there are two registries of version {version}")
