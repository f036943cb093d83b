"""Whose signature counts, and for which sizes: the pinned trust, the signed key registry, the ring made of both.

A registry document is a DSSE payload signed by k of n root keys; version n+1 carries the hash of version n and is
signed by a threshold of the roots of n *and* of its own (the rule of TUF's root update). A key is valid for a range
of tree sizes of the logs it names, never for a range of clock time: sizes are monotone and stand inside the signed
text. The range includes both ends, because at a rotation both keys sign the checkpoint at the size where they meet.

Trust starts at the roots that a trust file pins. Keys that an export carries are hints until those roots have signed
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.errors import ConfigurationError, IntegrityError, InvalidInput
from ledger_core.log.dsse import KEYS_TYPE, Envelope, verify_envelope
from ledger_core.log.findings import BAD_SIGNATURE, FORKED, KEY_NOT_VALID_AT_SIZE, TRUNCATED
from ledger_core.log.note import Checkpoint, PublicKey, SignedNote, verify_note
from ledger_core.log.reading import load_json, open_regular
from ledger_core.log.registry import (
    CHECKPOINT_PURPOSE,
    DSSE_PURPOSE,
    NO_PREVIOUS,
    REGISTRY_SCHEMA,
    KeyRecord,
    Registry,
    Validity,
    origin_matches,
    parse_publics,
    parse_registry,
    public_as_json,
    registry_payload,
)
from ledger_core.log.timestamps import PEM_START

__all__ = [
    "CHECKPOINT_PURPOSE",
    "DSSE_PURPOSE",
    "NO_PREVIOUS",
    "REGISTRY_SCHEMA",
    "Judgement",
    "KeyRecord",
    "KeyRing",
    "TrustFile",
    "Validity",
    "origin_matches",
    "parse_trust",
    "registry_payload",
    "require_pinned_version",
    "resolve_keys",
]

TRUST_SCHEMA = "cf-trust/1"
MAX_TRUST_BYTES = 1024 * 1024
MAX_DOCUMENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFile:
    """What a verifier pins: the root keys, how many of them must agree, and which logs they speak for.

    `registry_version` is the lowest version of the key registry that is believed: whoever pins the version in which a
    key was revoked cannot be shown an older one in which it still counts.
    """

    origin: str
    threshold: int
    roots: tuple[PublicKey, ...]
    registry_version: int = 0
    timestamp_roots: tuple[str, ...] = ()
    """Certificates, in PEM, of the time-stamping authorities that are believed."""

    @classmethod
    def load(cls, path: Path) -> TrustFile:
        """Read the file at `path`. Raises `ConfigurationError` when it is not there or is not a trust file."""
        try:
            with open_regular(path) as file:
                data = file.read(MAX_TRUST_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(
                f"no trust file: {error.strerror}.",
                file=str(path),
                remedy="Give the one you received from the operator with --trust.",
            ) from error
        try:
            return parse_trust(data)
        except InvalidInput as error:
            raise ConfigurationError(error.message, file=str(path), remedy=error.remedy) from error

    def covers(self, origin: str) -> bool:
        """Say whether these roots speak for the log `origin`."""
        return origin_matches(self.origin, origin)

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        pinned = {"registry_version": self.registry_version} if self.registry_version else {}
        return {
            "schema": TRUST_SCHEMA,
            "origin": self.origin,
            "threshold": self.threshold,
            "roots": [public_as_json(key) for key in self.roots],
            **pinned,
            **({"timestamp_roots": list(self.timestamp_roots)} if self.timestamp_roots else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who signed what was shown: `signers` count; with none, `verdict` says why (`bad_signature`, ...).

    `doubtful` are compromised keys that signed: they count once the tree is shown to lie in one that counts. Whoever
    cannot show it takes the verdict.
    """

    signers: tuple[KeyRecord, ...]
    verdict: str | None
    detail: str
    doubtful: tuple[KeyRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys of the newest registry document that the pinned roots vouch for."""

    version: int
    sha256: str
    keys: tuple[KeyRecord, ...]
    documents: tuple[tuple[int, str], ...] = ()
    """Version and SHA-256 of each document of the chain, oldest first."""
    roots: tuple[PublicKey, ...] = ()
    threshold: int = 0
    """The roots of that document, and how many of them must agree on the next."""

    def judge_checkpoint(self, note: SignedNote, checkpoint: Checkpoint) -> Judgement:
        """Say which keys signed the checkpoint's note and are valid for its log at its size."""
        signed = verify_note(note, checkpoint.origin, self._public(CHECKPOINT_PURPOSE))
        return self._judge(signed, checkpoint.origin, checkpoint.size, checkpoint.root)

    def judge_envelope(self, envelope: Envelope, origin: str, size: int, root: bytes | None = None) -> Judgement:
        """Say which keys signed the envelope and are valid for `origin` at `size`; `root` is the tree's, if known."""
        return self.judge_signers(self.signers_of(envelope), origin, size, root)

    def signers_of(self, envelope: Envelope) -> Sequence[str]:
        """Return the ids of the keys that signed the envelope, whatever they may sign."""
        return verify_envelope(envelope, self._public(DSSE_PURPOSE))

    def judge_signers(self, signers: Sequence[str], origin: str, size: int, root: bytes | None = None) -> Judgement:
        """Judge what `signers`, ids that `signers_of` gave, signed; a later ring may judge it anew."""
        return self._judge(signers, origin, size, root)

    def good_trees(self, origin: str) -> dict[int, bytes]:
        """Return by size the roots of `origin` that the registry itself states, after compromises of keys."""
        return dict(tree for item in self.keys for tree in item.good_trees(origin))

    def _public(self, purpose: str) -> list[PublicKey]:
        return [item.key for item in self.keys if purpose in item.purposes]

    def _judge(self, signed: Sequence[str], origin: str, size: int, root: bytes | None) -> Judgement:
        found = [item for item in self.keys if item.key.key_id in signed]
        names = ", ".join(item.key.key_id[:16] for item in found)
        if not found:
            detail = f"no key of registry version {self.version} signed this"
            return Judgement(signers=(), verdict=BAD_SIGNATURE, detail=detail)
        good = self.good_trees(origin).get(size)
        if good is not None and root is not None and root != good:
            # Whoever signed it: the roots say what the tree of that size is.
            detail = f"signed by {names} over another tree of {origin} at size {size} than the registry states"
            return Judgement(signers=(), verdict=FORKED, detail=detail)
        valid = tuple(item for item in found if item.is_valid_at(origin, size))
        if valid:
            return Judgement(signers=valid, verdict=None, detail="")
        stolen = tuple(item for item in found if item.is_compromised)
        if stolen and good is not None and root is not None:
            return Judgement(signers=stolen, verdict=None, detail="")
        if stolen:
            detail = (
                f"signed by {names}, a compromised key, and {origin} at size {size} is not shown to lie in a tree that "
                "counts"
            )
            return Judgement(signers=(), verdict=KEY_NOT_VALID_AT_SIZE, detail=detail, doubtful=stolen)
        detail = f"signed by {names}, which the registry does not let sign {origin} at size {size}"
        return Judgement(signers=(), verdict=KEY_NOT_VALID_AT_SIZE, detail=detail)


def resolve_keys(trust: TrustFile, envelopes: Iterable[Envelope], *, may_be_older: bool = False) -> KeyRing:
    """Return the ring of the newest registry document that leads back to the pinned roots without a gap.

    Documents before the first one that the pinned roots signed are passed over: they were pinned away. No document is
    parsed before the roots that must have signed it have, or the hash in one that they signed is its own.
    `may_be_older` is for one registry of several, of which only the newest must reach the pinned version.

    Raises `InvalidInput` for a malformed document, `IntegrityError` (`verdict` in its context) for a chain that does
    not hold, or ends before the pinned version.
    """
    current: Registry | None = None
    documents: dict[int, str] = {}
    passed: list[bytes] = []
    for count, envelope in enumerate(envelopes):
        if count >= MAX_DOCUMENTS:
            raise InvalidInput(f"a key registry has at most {MAX_DOCUMENTS:,} documents.", remedy=_REMEDY)
        if envelope.payload_type != KEYS_TYPE:
            raise InvalidInput(f"{envelope.payload_type!r:.80} is not a key registry.", remedy=_REMEDY)
        found = _follow(trust, current, documents, envelope)
        if found is None:
            passed.append(envelope.payload)
            continue
        if current is None:
            documents.update(_ancestors(found, passed))
        current, documents[found.version] = found, sha256(envelope.payload).hexdigest()
    if current is None:
        raise _broken("no key registry document is signed by the pinned roots.")
    if not may_be_older:
        require_pinned_version(trust, current.version)
    return KeyRing(
        version=current.version,
        sha256=documents[current.version],
        keys=current.keys,
        documents=tuple(sorted(documents.items())),
        roots=current.roots,
        threshold=current.threshold,
    )


def require_pinned_version(trust: TrustFile, version: int) -> None:
    """Raise `IntegrityError` for a registry that ends before the version that `trust` pins."""
    if version < trust.registry_version:
        raise _broken(
            f"the key registry ends at version {version}, the trust file pins {trust.registry_version}.", TRUNCATED
        )


def _ancestors(first: Registry, passed: Sequence[bytes]) -> dict[int, str]:
    """Return version and hash of the documents that `first`, which the pinned roots signed, leads back to."""
    found: dict[int, str] = {}
    expected = first.previous
    for payload in reversed(passed):
        if sha256(payload).hexdigest() != expected:
            break
        before = parse_registry(payload)
        found[before.version], expected = expected, before.previous
    return found


def _follow(
    trust: TrustFile, current: Registry | None, documents: dict[int, str], envelope: Envelope
) -> Registry | None:
    """Return the document in `envelope` if it is the next, None for one from before the pinned roots."""
    if current is None:
        if not _agree(envelope, trust.roots, trust.threshold):
            return None
        found = parse_registry(envelope.payload)
        return found if _agree(envelope, found.roots, found.threshold) else None
    if not _agree(envelope, current.roots, current.threshold):
        raise _broken(f"what stands after registry version {current.version} lacks the signatures of its roots.")
    found = parse_registry(envelope.payload)
    if documents.get(found.version, digest := sha256(envelope.payload).hexdigest()) != digest:
        raise _broken(f"there are two registries of version {found.version}.", FORKED)
    if found.version != current.version + 1 or found.previous != documents[current.version]:
        raise _broken(f"registry version {found.version} does not follow version {current.version}.")
    if not _agree(envelope, found.roots, found.threshold):
        raise _broken(f"registry version {found.version} lacks the signatures of the roots.")
    return found


def parse_trust(data: bytes) -> TrustFile:
    """Return the trust file in `data`. Raises `InvalidInput`."""
    if len(data) > MAX_TRUST_BYTES:
        raise InvalidInput("the trust file is too large.", remedy=_REMEDY)
    try:
        value = load_json(data)
    except ValueError as error:
        raise InvalidInput(f"the trust file is not JSON: {error}.", remedy=_REMEDY) from error
    if not isinstance(value, dict) or value.get("schema") != TRUST_SCHEMA:
        raise InvalidInput(f"the trust file is not of schema {TRUST_SCHEMA}.", pointer="/schema", remedy=_REMEDY)
    roots = parse_publics(value.get("roots"), "/roots")
    threshold = value.get("threshold")
    if type(threshold) is not int or not 1 <= threshold <= len(roots):
        raise InvalidInput("the threshold is not a number of roots.", pointer="/threshold", remedy=_REMEDY)
    if not isinstance(value.get("origin"), str):
        raise InvalidInput("the trust file names no origin.", pointer="/origin", remedy=_REMEDY)
    version = value.get("registry_version", 0)
    if type(version) is not int or version < 0:
        raise InvalidInput("registry_version is not a version.", pointer="/registry_version", remedy=_REMEDY)
    stampers = value.get("timestamp_roots", [])
    if not isinstance(stampers, list) or not all(isinstance(item, str) and PEM_START in item for item in stampers):
        raise InvalidInput("timestamp_roots are certificates in PEM.", pointer="/timestamp_roots", remedy=_REMEDY)
    return TrustFile(
        origin=value["origin"],
        threshold=threshold,
        roots=roots,
        registry_version=version,
        timestamp_roots=tuple(stampers),
    )


_REMEDY = "See docs/formats/trust.md."


def _agree(envelope: Envelope, roots: Sequence[PublicKey], threshold: int) -> bool:
    return len(set(verify_envelope(envelope, roots))) >= threshold


def _broken(message: str, verdict: str = BAD_SIGNATURE) -> IntegrityError:
    return IntegrityError(message, remedy="Compare with the operator's published registry.", verdict=verdict)
