"""One document of the key registry: the roots, the signing keys, and for which sizes of which logs each key counts.

Its bytes and its parts, not whose signatures it needs (`keys.resolve_keys`). A range may carry the root of the tree at
its end: the key was stolen, and what it signed counts for a tree alone that is shown to lie in that one. A document
with such a range is of schema `cf-keys/2`, so that a verifier which does not know the rule refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes, parse_strict
from ledger_core.log.note import PublicKey, decode_base64, decode_hash, encode_base64

REGISTRY_SCHEMA = "cf-keys/1"
REGISTRY_SCHEMA_2 = "cf-keys/2"
NO_PREVIOUS = "0" * 64
MAX_ROOTS = 100
MAX_KEYS = 10_000
MAX_RANGES = 100_000
"""Of all keys together: a rotation of one key over a thousand logs makes two thousand."""
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
"""What is larger is neither written nor read: a registry that verifiers cannot read would end all verification."""

CHECKPOINT_PURPOSE = "checkpoint"
DSSE_PURPOSE = "dsse"

ACTIVE, RETIRED, REVOKED, COMPROMISED = "active", "retired", "revoked", "compromised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Sizes of the logs `origin` (exact, or ending in `/*`) for which a key counts; `to_size` None is open.

    `root` is that of the tree at `to_size`: then the key counts only for trees that are shown to lie in this one.
    """

    origin: str
    from_size: int
    to_size: int | None
    root: bytes | None = None

    def holds(self, size: int) -> bool:
        """Say whether `size` lies in the range."""
        return self.from_size <= size and (self.to_size is None or size <= self.to_size)

    def as_json(self) -> dict[str, Any]:
        """Return the range as the document has it."""
        shown = {} if self.root is None else {"root": encode_base64(self.root)}
        return {"from_size": self.from_size, "origin": self.origin, **shown, "to_size": self.to_size}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A signing key as the registry describes it."""

    key: PublicKey
    backend: str
    assurance: str
    status: str
    purposes: tuple[str, ...]
    valid: tuple[Validity, ...]

    @property
    def is_compromised(self) -> bool:
        """Say whether somebody else may have the key."""
        return self.status == COMPROMISED

    def ranges(self, origin: str) -> list[Validity]:
        """Return the ranges that speak of the log `origin`: one that names it beats a wildcard."""
        exact = [item for item in self.valid if item.origin == origin]
        return exact or [item for item in self.valid if origin_matches(item.origin, origin)]

    def is_valid_at(self, origin: str, size: int) -> bool:
        """Say whether the key counts for `origin` at `size` whatever the tree is."""
        return any(item.root is None and item.holds(size) for item in self.ranges(origin))

    def good_trees(self, origin: str) -> list[tuple[int, bytes]]:
        """Return (size, root) of the trees of `origin` in which what the key signed must lie."""
        return [
            (item.to_size, item.root)
            for item in self.ranges(origin)
            if item.root is not None and item.to_size is not None
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the key as the registry document has it."""
        return {
            **public_as_json(self.key),
            "assurance": self.assurance,
            "backend": self.backend,
            "purposes": list(self.purposes),
            "status": self.status,
            "valid": [item.as_json() for item in self.valid],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A parsed document; who signed it is not said here."""

    version: int
    previous: str
    roots: tuple[PublicKey, ...]
    threshold: int
    keys: tuple[KeyRecord, ...]
    created_at: str = ""


def registry_payload(
    *,
    version: int,
    previous_sha256: str,
    roots: Sequence[PublicKey],
    threshold: int,
    keys: Sequence[KeyRecord],
    created_at: str,
) -> bytes:
    """Return the canonical bytes of a registry document, to be signed by the roots as DSSE type `KEYS_TYPE`.

    Raises `InvalidInput` for one that no verifier would read.
    """
    is_plain = all(part.root is None for item in keys for part in item.valid)
    payload = canonical_bytes(
        {
            "created_at": created_at,
            "keys": [item.as_json() for item in keys],
            "prev_sha256": previous_sha256,
            "roots": {"keys": [public_as_json(key) for key in roots], "threshold": threshold},
            "schema": REGISTRY_SCHEMA if is_plain else REGISTRY_SCHEMA_2,
            "version": version,
        }
    )
    parse_registry(payload)
    return payload


def parse_registry(payload: bytes) -> Registry:
    """Return the document in `payload`. Raises `InvalidInput`."""
    if len(payload) > MAX_DOCUMENT_BYTES:
        raise InvalidInput(f"a registry document has at most {MAX_DOCUMENT_BYTES:,} bytes.", remedy=_REMEDY)
    value = parse_strict(payload)
    try:
        if value["schema"] not in (REGISTRY_SCHEMA, REGISTRY_SCHEMA_2):
            raise InvalidInput(f"the registry is not of schema {REGISTRY_SCHEMA_2}.", remedy=_REMEDY)
        roots = parse_publics(value["roots"]["keys"], "/roots/keys")
        threshold, version, previous = value["roots"]["threshold"], value["version"], value["prev_sha256"]
        records = value["keys"]
        if type(threshold) is not int or not 1 <= threshold <= len(roots) or type(version) is not int:
            raise InvalidInput("version or threshold is not a number that fits.", remedy=_REMEDY)
        if not isinstance(previous, str) or not isinstance(records, list) or len(records) > MAX_KEYS:
            raise InvalidInput("keys or prev_sha256 is malformed.", remedy=_REMEDY)
        keys = tuple(_parse_key(item, value["schema"]) for item in records)
        created_at = str(value.get("created_at", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the registry is malformed: {error}.", remedy=_REMEDY) from error
    if len({item.key.key_id for item in keys}) != len(keys):
        # Twice under one id, and two readers could take another one of them each.
        raise InvalidInput("a key is listed twice.", pointer="/keys", remedy=_REMEDY)
    _check_ranges([part for item in keys for part in item.valid])
    return Registry(
        version=version, previous=previous, roots=roots, threshold=threshold, keys=keys, created_at=created_at
    )


def origin_matches(pattern: str, origin: str) -> bool:
    """Say whether `origin` is `pattern`, or lies below it when it ends in `/*`."""
    return origin == pattern or (pattern.endswith("/*") and origin.startswith(pattern[:-1]))


def parse_publics(items: Any, pointer: str) -> tuple[PublicKey, ...]:
    """Return the public keys in JSON, each once. Raises `InvalidInput`."""
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ROOTS:
        raise InvalidInput(f"1 to {MAX_ROOTS} keys are expected.", pointer=pointer, remedy=_REMEDY)
    keys = tuple(_parse_public(item, f"{pointer}/{index}") for index, item in enumerate(items))
    if len({key.key_id for key in keys}) != len(keys):
        raise InvalidInput("a key is listed twice.", pointer=pointer, remedy=_REMEDY)
    return keys


def public_as_json(key: PublicKey) -> dict[str, str]:
    """Return the public key in JSON."""
    return {"alg": key.algorithm, "key_id": key.key_id, "spki": encode_base64(key.spki)}


_REMEDY = "See docs/formats/trust.md."


def _parse_key(item: Any, schema: str) -> KeyRecord:
    status = str(item["status"])
    return KeyRecord(
        key=_parse_public(item, "/keys"),
        backend=str(item["backend"]),
        assurance=str(item["assurance"]),
        status=status,
        purposes=tuple(str(purpose) for purpose in item["purposes"]),
        valid=tuple(_parse_range(part, status, schema) for part in item["valid"]),
    )


def _check_ranges(ranges: Sequence[Validity]) -> None:
    """Refuse more ranges than anybody needs, and two roots for one size of one log: two readers could take either."""
    if len(ranges) > MAX_RANGES:
        raise InvalidInput(f"keys have at most {MAX_RANGES:,} ranges.", pointer="/keys", remedy=_REMEDY)
    roots: dict[tuple[str, int | None], bytes] = {}
    for part in ranges:
        if part.root is not None and roots.setdefault((part.origin, part.to_size), part.root) != part.root:
            raise InvalidInput(
                f"two roots are stated for {part.origin[:300]} at size {part.to_size}.",
                pointer="/keys",
                remedy=_REMEDY,
            )


def _parse_range(part: Any, status: str, schema: str) -> Validity:
    first, last, root, origin = part["from_size"], part["to_size"], part.get("root"), part["origin"]
    if type(first) is not int or not (last is None or type(last) is int) or not isinstance(origin, str):
        raise InvalidInput("a key's range of sizes is malformed.", remedy=_REMEDY)
    if (root is not None) != (status == COMPROMISED) or (root is not None and schema == REGISTRY_SCHEMA):
        raise InvalidInput(
            f"in {schema}, a range of a key that is {status[:40]} {'has' if root is not None else 'lacks'} a root.",
            pointer="/keys",
            remedy=_REMEDY,
        )
    if root is not None and (last is None or origin.endswith("/*") or not isinstance(root, str)):
        raise InvalidInput("a range with a root names one log and ends.", pointer="/keys", remedy=_REMEDY)
    return Validity(origin=origin, from_size=first, to_size=last, root=None if root is None else decode_hash(root))


def _parse_public(item: Any, pointer: str) -> PublicKey:
    if not isinstance(item, dict) or not isinstance(item.get("spki"), str):
        raise InvalidInput("a key has key_id, alg and spki.", pointer=pointer, remedy=_REMEDY)
    key = PublicKey(decode_base64(item["spki"]))
    if item.get("key_id") != key.key_id or item.get("alg") != key.algorithm:
        raise InvalidInput("key_id or alg is not that of the key itself.", pointer=pointer, remedy=_REMEDY)
    return key
