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
from ledger_core.log.canonical import canonical_bytes, parse_strict
from ledger_core.log.dsse import KEYS_TYPE, Envelope, verify_envelope
from ledger_core.log.findings import BAD_SIGNATURE, FORKED, KEY_NOT_VALID_AT_SIZE, TRUNCATED
from ledger_core.log.note import Checkpoint, PublicKey, SignedNote, decode_base64, encode_base64, verify_note
from ledger_core.log.reading import load_json, open_regular

TRUST_SCHEMA = "cf-trust/1"
REGISTRY_SCHEMA = "cf-keys/1"
NO_PREVIOUS = "0" * 64
MAX_TRUST_BYTES = 1024 * 1024
MAX_ROOTS = 100
MAX_KEYS = 10_000
MAX_DOCUMENTS = 10_000

CHECKPOINT_PURPOSE = "checkpoint"
DSSE_PURPOSE = "dsse"


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
            "roots": [_public_as_json(key) for key in self.roots],
            **pinned,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Sizes of the logs `origin` (exact, or ending in `/*`) for which a key counts; `to_size` None is open."""

    origin: str
    from_size: int
    to_size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A signing key as the registry describes it."""

    key: PublicKey
    backend: str
    assurance: str
    status: str
    purposes: tuple[str, ...]
    valid: tuple[Validity, ...]

    def is_valid_at(self, origin: str, size: int) -> bool:
        """Say whether the key counts for `origin` at `size`; a range that names the log beats a wildcard."""
        exact = [item for item in self.valid if item.origin == origin]
        ranges = exact or [item for item in self.valid if origin_matches(item.origin, origin)]
        return any(item.from_size <= size and (item.to_size is None or size <= item.to_size) for item in ranges)

    def as_json(self) -> dict[str, Any]:
        """Return the key as the registry document has it."""
        return {
            **_public_as_json(self.key),
            "assurance": self.assurance,
            "backend": self.backend,
            "purposes": list(self.purposes),
            "status": self.status,
            "valid": [
                {"from_size": item.from_size, "origin": item.origin, "to_size": item.to_size} for item in self.valid
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who signed what was shown: `signers` count; with none, `verdict` says why (`bad_signature`, ...)."""

    signers: tuple[KeyRecord, ...]
    verdict: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys of the newest registry document that the pinned roots vouch for."""

    version: int
    sha256: str
    keys: tuple[KeyRecord, ...]
    documents: tuple[tuple[int, str], ...] = ()
    """Version and SHA-256 of each document of the chain, oldest first."""

    def judge_checkpoint(self, note: SignedNote, checkpoint: Checkpoint) -> Judgement:
        """Say which keys signed the checkpoint's note and are valid for its log at its size."""
        signed = verify_note(note, checkpoint.origin, self._public(CHECKPOINT_PURPOSE))
        return self._judge(signed, checkpoint.origin, checkpoint.size)

    def judge_envelope(self, envelope: Envelope, origin: str, size: int) -> Judgement:
        """Say which keys signed the envelope and are valid for `origin` at `size`."""
        return self._judge(verify_envelope(envelope, self._public(DSSE_PURPOSE)), origin, size)

    def _public(self, purpose: str) -> list[PublicKey]:
        return [item.key for item in self.keys if purpose in item.purposes]

    def _judge(self, signed: Sequence[str], origin: str, size: int) -> Judgement:
        found = [item for item in self.keys if item.key.key_id in signed]
        valid = tuple(item for item in found if item.is_valid_at(origin, size))
        if valid:
            return Judgement(signers=valid, verdict=None, detail="")
        if found:
            names = ", ".join(item.key.key_id[:16] for item in found)
            return Judgement(
                signers=(),
                verdict=KEY_NOT_VALID_AT_SIZE,
                detail=f"signed by {names}, which the registry does not let sign {origin} at size {size}",
            )
        return Judgement(
            signers=(), verdict=BAD_SIGNATURE, detail=f"no key of registry version {self.version} signed this"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registry:
    version: int
    previous: str
    roots: tuple[PublicKey, ...]
    threshold: int
    keys: tuple[KeyRecord, ...]


def registry_payload(
    *,
    version: int,
    previous_sha256: str,
    roots: Sequence[PublicKey],
    threshold: int,
    keys: Sequence[KeyRecord],
    created_at: str,
) -> bytes:
    """Return the canonical bytes of a registry document, to be signed by the roots as DSSE type `KEYS_TYPE`."""
    return canonical_bytes(
        {
            "created_at": created_at,
            "keys": [item.as_json() for item in keys],
            "prev_sha256": previous_sha256,
            "roots": {"keys": [_public_as_json(key) for key in roots], "threshold": threshold},
            "schema": REGISTRY_SCHEMA,
            "version": version,
        }
    )


def resolve_keys(trust: TrustFile, envelopes: Iterable[Envelope]) -> KeyRing:
    """Return the ring of the newest registry document that leads back to the pinned roots without a gap.

    Documents before the first one that the pinned roots signed are passed over: they were pinned away. No document is
    parsed before the roots that must have signed it have. Raises `InvalidInput` for a malformed document,
    `IntegrityError` (`verdict` in its context) for a chain that does not hold, or ends before the pinned version.
    """
    current: _Registry | None = None
    documents: dict[int, str] = {}
    for count, envelope in enumerate(envelopes):
        if count >= MAX_DOCUMENTS:
            raise InvalidInput(f"a key registry has at most {MAX_DOCUMENTS:,} documents.", remedy=_REMEDY)
        if envelope.payload_type != KEYS_TYPE:
            raise InvalidInput(f"{envelope.payload_type!r:.80} is not a key registry.", remedy=_REMEDY)
        found = _follow(trust, current, documents, envelope)
        if found is not None:
            current, documents[found.version] = found, sha256(envelope.payload).hexdigest()
    if current is None:
        raise _broken("no key registry document is signed by the pinned roots.")
    if current.version < trust.registry_version:
        raise _broken(
            f"the key registry ends at version {current.version}, the trust file pins {trust.registry_version}.",
            TRUNCATED,
        )
    return KeyRing(
        version=current.version,
        sha256=documents[current.version],
        keys=current.keys,
        documents=tuple(documents.items()),
    )


def _follow(
    trust: TrustFile, current: _Registry | None, documents: dict[int, str], envelope: Envelope
) -> _Registry | None:
    """Return the document in `envelope` if it is the next, None for one from before the pinned roots."""
    if current is None:
        if not _agree(envelope, trust.roots, trust.threshold):
            return None
        found = _parse_registry(envelope)
        return found if _agree(envelope, found.roots, found.threshold) else None
    if not _agree(envelope, current.roots, current.threshold):
        raise _broken(f"what stands after registry version {current.version} lacks the signatures of its roots.")
    found = _parse_registry(envelope)
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
    roots = _parse_publics(value.get("roots"), "/roots")
    threshold = value.get("threshold")
    if type(threshold) is not int or not 1 <= threshold <= len(roots):
        raise InvalidInput("the threshold is not a number of roots.", pointer="/threshold", remedy=_REMEDY)
    if not isinstance(value.get("origin"), str):
        raise InvalidInput("the trust file names no origin.", pointer="/origin", remedy=_REMEDY)
    version = value.get("registry_version", 0)
    if type(version) is not int or version < 0:
        raise InvalidInput("registry_version is not a version.", pointer="/registry_version", remedy=_REMEDY)
    return TrustFile(origin=value["origin"], threshold=threshold, roots=roots, registry_version=version)


def origin_matches(pattern: str, origin: str) -> bool:
    """Say whether `origin` is `pattern`, or lies below it when it ends in `/*`."""
    return origin == pattern or (pattern.endswith("/*") and origin.startswith(pattern[:-1]))


_REMEDY = "See docs/formats/trust.md."


def _agree(envelope: Envelope, roots: Sequence[PublicKey], threshold: int) -> bool:
    return len(set(verify_envelope(envelope, roots))) >= threshold


def _broken(message: str, verdict: str = BAD_SIGNATURE) -> IntegrityError:
    return IntegrityError(message, remedy="Compare with the operator's published registry.", verdict=verdict)


def _parse_registry(envelope: Envelope) -> _Registry:
    value = parse_strict(envelope.payload)
    try:
        if value["schema"] != REGISTRY_SCHEMA:
            raise InvalidInput(f"the registry is not of schema {REGISTRY_SCHEMA}.", remedy=_REMEDY)
        roots = _parse_publics(value["roots"]["keys"], "/roots/keys")
        threshold, version, previous = value["roots"]["threshold"], value["version"], value["prev_sha256"]
        records = value["keys"]
        if type(threshold) is not int or not 1 <= threshold <= len(roots) or type(version) is not int:
            raise InvalidInput("version or threshold is not a number that fits.", remedy=_REMEDY)
        if not isinstance(previous, str) or not isinstance(records, list) or len(records) > MAX_KEYS:
            raise InvalidInput("keys or prev_sha256 is malformed.", remedy=_REMEDY)
        keys = tuple(_parse_key(item) for item in records)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the registry is malformed: {error}.", remedy=_REMEDY) from error
    return _Registry(version=version, previous=previous, roots=roots, threshold=threshold, keys=keys)


def _parse_key(item: Any) -> KeyRecord:
    ranges = []
    for part in item["valid"]:
        first, last = part["from_size"], part["to_size"]
        if type(first) is not int or not (last is None or type(last) is int) or not isinstance(part["origin"], str):
            raise InvalidInput("a key's range of sizes is malformed.", remedy=_REMEDY)
        ranges.append(Validity(origin=part["origin"], from_size=first, to_size=last))
    return KeyRecord(
        key=_parse_public(item, "/keys"),
        backend=str(item["backend"]),
        assurance=str(item["assurance"]),
        status=str(item["status"]),
        purposes=tuple(str(purpose) for purpose in item["purposes"]),
        valid=tuple(ranges),
    )


def _parse_publics(items: Any, pointer: str) -> tuple[PublicKey, ...]:
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ROOTS:
        raise InvalidInput(f"1 to {MAX_ROOTS} keys are expected.", pointer=pointer, remedy=_REMEDY)
    keys = tuple(_parse_public(item, f"{pointer}/{index}") for index, item in enumerate(items))
    if len({key.key_id for key in keys}) != len(keys):
        raise InvalidInput("a key is listed twice.", pointer=pointer, remedy=_REMEDY)
    return keys


def _parse_public(item: Any, pointer: str) -> PublicKey:
    if not isinstance(item, dict) or not isinstance(item.get("spki"), str):
        raise InvalidInput("a key has key_id, alg and spki.", pointer=pointer, remedy=_REMEDY)
    key = PublicKey(decode_base64(item["spki"]))
    if item.get("key_id") != key.key_id or item.get("alg") != key.algorithm:
        raise InvalidInput("key_id or alg is not that of the key itself.", pointer=pointer, remedy=_REMEDY)
    return key


def _public_as_json(key: PublicKey) -> dict[str, str]:
    return {"alg": key.algorithm, "key_id": key.key_id, "spki": encode_base64(key.spki)}
