"""Proofs of single records: the C2SP tlog-proof text, and the JSON bundle that carries bytes, keys and paths together.

Both say: these bytes are the leaf at this position of a tree that this note commits to. Position, size and root are
taken from the path and the verified note; whatever else a bundle says is for people. Keys in a bundle are hints until
the pinned roots vouch for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.findings import EDITED, FAILED
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.note import decode_base64, decode_hash, encode_base64
from ledger_core.log.reading import load_json
from ledger_core.log.timestamps import MAX_TOKEN_BYTES

SCHEMA = "cf-proof/1"
TLOG_HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63
MAX_RECORDS = 100_000
MAX_CONSISTENCY = 100
MAX_BUNDLE_BYTES = 256 * 1024 * 1024

_SALT = re.compile(r"[0-9a-f]{32}")
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A private value that is shown, and the salt of the commitment to it."""

    salt: bytes
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedRecord:
    """A record's bytes, its position, and the audit path from its leaf to the root."""

    seq: int
    canonical: bytes
    inclusion: tuple[bytes, ...]
    openings: Mapping[str, Opening] = field(default_factory=dict)
    """By the name of a private value: what opens the record's commitment to it."""

    @property
    def leaf_hash(self) -> bytes:
        """The leaf hash of the bytes."""
        return leaf_hash(self.canonical)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """The proof that the tree of an older checkpoint, which somebody kept, is a prefix of this one."""

    checkpoint: str
    path: tuple[bytes, ...]
    timestamp: bytes | None = None
    """A time-stamp token over the checkpoint's note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a bundle's maker says came of it; `failures` are (seq, verdict, detail)."""

    verdict: str | None = None
    failures: tuple[tuple[int | None, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofBundle:
    """Records proved under one checkpoint; `keys` is the key registry, oldest version first."""

    origin: str
    checkpoint: str
    records: tuple[ProvedRecord, ...]
    keys: tuple[Envelope, ...]
    consistency: tuple[Consistency, ...] = ()
    timestamp: bytes | None = None
    """A time-stamp token (RFC 3161) over the checkpoint's note."""
    assurance: str = ""
    extra: Mapping[str, Any] | None = None
    """More members, as they are written (`verdict`, `checked_at`, `failures`, ...)."""
    stated: Stated = Stated()
    """What of them a verifier reads: a bundle may say that it failed, never that it holds."""

    def as_json(self) -> dict[str, Any]:
        """Return the bundle as JSON, the payload of DSSE type `PROOF_TYPE`."""
        return {
            **(self.extra or {}),
            "schema": SCHEMA,
            "origin": self.origin,
            "checkpoint": self.checkpoint,
            "assurance": self.assurance,
            "records": [
                {
                    "seq": item.seq,
                    "canonical": encode_base64(item.canonical),
                    "leaf_hash": item.leaf_hash.hex(),
                    "inclusion": [encode_base64(part) for part in item.inclusion],
                    **({"openings": _openings_as_json(item.openings)} if item.openings else {}),
                }
                for item in self.records
            ],
            "consistency": [
                {
                    "checkpoint": item.checkpoint,
                    "path": [encode_base64(part) for part in item.path],
                    **_stamp(item.timestamp),
                }
                for item in self.consistency
            ],
            **_stamp(self.timestamp),
            "keys": [envelope.as_json() for envelope in self.keys],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A C2SP tlog-proof; ours carries the record's bytes as `extra`, so that it needs nothing beside it."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __str__(self) -> str:
        lines = [TLOG_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.index}", *(encode_base64(item) for item in self.path), ""]
        return "\n".join(lines) + "\n" + self.checkpoint


def parse_tlog_proof(text: str) -> TlogProof:
    """Return the proof in `text` (C2SP tlog-proof). Raises `InvalidInput`."""
    head, found, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not found or lines[0] != TLOG_HEADER:
        raise InvalidInput(f"a proof starts with {TLOG_HEADER} and ends with a checkpoint.", remedy=_REMEDY)
    del lines[0]
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
    index = _INDEX.match(lines[0]) if lines else None
    if index is None or len(lines) - 1 > MAX_PATH:
        raise InvalidInput(f"a proof names its index and at most {MAX_PATH} hashes.", remedy=_REMEDY)
    path = tuple(decode_hash(line) for line in lines[1:])
    return TlogProof(index=int(index[1]), path=path, checkpoint=checkpoint, extra=extra)


def parse_bundle(value: Any) -> ProofBundle:
    """Return the bundle in `value` (JSON already parsed). Raises `InvalidInput`."""
    try:
        if value["schema"] != SCHEMA:
            raise InvalidInput(f"the proof is not of schema {SCHEMA}.", pointer="/schema", remedy=_REMEDY)
        records, consistency, keys = value["records"], value.get("consistency", []), value["keys"]
        if len(records) > MAX_RECORDS:
            raise InvalidInput(f"more than {MAX_RECORDS} records.", pointer="/records", remedy=_REMEDY)
        if len(consistency) > MAX_CONSISTENCY:
            raise InvalidInput(f"more than {MAX_CONSISTENCY} checkpoints.", pointer="/consistency", remedy=_REMEDY)
        return ProofBundle(
            origin=text_of(value["origin"]),
            checkpoint=text_of(value["checkpoint"]),
            records=tuple(_parse_record(item) for item in records),
            keys=tuple(parse_envelope(object_of(item)) for item in keys),
            consistency=tuple(
                Consistency(
                    checkpoint=text_of(item["checkpoint"]),
                    path=_parse_path(item["path"]),
                    timestamp=_parse_token(item.get("timestamp")),
                )
                for item in consistency
            ),
            timestamp=_parse_token(value.get("timestamp")),
            assurance=text_of(value.get("assurance", "")),
            stated=parse_stated(value),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the proof is malformed: {error}.", remedy=_REMEDY) from error


def open_json(data: bytes) -> Envelope | dict[str, Any]:
    """Return the DSSE envelope in `data`, or whatever other JSON object it is. Raises `InvalidInput`."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise InvalidInput(f"a proof has at most {MAX_BUNDLE_BYTES} bytes.", remedy=_REMEDY)
    value = _json(data)
    return parse_envelope(value) if "payloadType" in value else value


def bundle_in(found: Envelope | dict[str, Any]) -> tuple[ProofBundle, Envelope | None]:
    """Return the bundle that `open_json` found, and the envelope around it if there is one. Raises `InvalidInput`."""
    if isinstance(found, Envelope):
        return parse_bundle(_json(found.payload)), found
    return parse_bundle(found), None


_REMEDY = "See docs/formats/proof.md."


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = load_json(data)
    except ValueError as error:
        raise InvalidInput(f"the proof is not JSON: {error}.", remedy=_REMEDY) from error
    if not isinstance(value, dict):
        raise InvalidInput("the proof is not a JSON object.", remedy=_REMEDY)
    return value


def _parse_record(item: Mapping[str, Any]) -> ProvedRecord:
    seq = item["seq"]
    if type(seq) is not int or not 0 <= seq < 2**63:
        raise TypeError("seq is not a position in a log")
    return ProvedRecord(
        seq=seq,
        canonical=decode_base64(text_of(item["canonical"])),
        inclusion=_parse_path(item["inclusion"]),
        openings={name: _parse_opening(each) for name, each in object_of(item.get("openings", {})).items()},
    )


def _openings_as_json(openings: Mapping[str, Opening]) -> dict[str, Any]:
    return {name: {"salt": item.salt.hex(), "value": item.value} for name, item in openings.items()}


def _parse_opening(item: Mapping[str, Any]) -> Opening:
    salt = text_of(item["salt"])
    if _SALT.fullmatch(salt) is None:
        raise TypeError("a salt is 16 bytes in lower-case hexadecimal digits")
    return Opening(salt=bytes.fromhex(salt), value=text_of(item["value"]))


def parse_stated(value: Mapping[str, Any]) -> Stated:
    """Return what `value`, a bundle or a report, says came of it. Raises `TypeError`, `KeyError`, `AttributeError`."""
    verdict, listed, rows = value.get("verdict"), value.get("failures", []), value.get("rows", [])
    unlisted = value.get("failures_not_listed", 0)
    failures = [_parse_failure(item) for item in listed]
    failures += [(item.get("seq"), EDITED, "a stored row differs") for item in rows if item["crosscheck"] == "differs"]
    if unlisted:
        failures.append((None, FAILED, f"{unlisted} more failures"))
    return Stated(verdict=None if verdict is None else text_of(verdict), failures=tuple(failures))


def _parse_failure(item: Mapping[str, Any]) -> tuple[int | None, str, str]:
    seq = item.get("seq")
    if seq is not None and type(seq) is not int:
        raise TypeError("seq is not a position in a log")
    return seq, text_of(item["verdict"]), text_of(item.get("detail", ""))


def _parse_path(items: Sequence[Any]) -> tuple[bytes, ...]:
    if len(items) > MAX_PATH:
        raise TypeError(f"a path has at most {MAX_PATH} hashes")
    return tuple(decode_hash(text_of(item)) for item in items)


def _stamp(token: bytes | None) -> dict[str, str]:
    return {} if token is None else {"timestamp": encode_base64(token)}


def _parse_token(text: Any) -> bytes | None:
    token = None if text is None else decode_base64(text_of(text))
    if token is not None and len(token) > MAX_TOKEN_BYTES:
        raise TypeError(f"a time-stamp has at most {MAX_TOKEN_BYTES:,} bytes")
    return token


def text_of(value: Any) -> str:
    """Return `value`. Raises `TypeError` where it is no text."""
    if type(value) is not str:
        raise TypeError(f"{value!r:.40} is not text")
    return value


def object_of(value: Any) -> dict[str, Any]:
    """Return `value`. Raises `TypeError` where it is no object."""
    if type(value) is not dict:
        raise TypeError("an object is expected")
    return value
