"""What is carried between the proxy's host and the ledger's when keys change: three small files, none of them secret.

`next.json` describes the key that is to sign, as the proxy's host reaches it, and what was signed last. `proofs.json`
shows that the tree signed last contains the one beyond doubt. `change.json` is what was signed for a change that is
made. No authority is in any of them: the roots sign which key it is, a proof is verified against trees that both ends
know, and what a change says is held against the registry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ledger_core.errors import InvalidInput
from ledger_core.log.dsse import Envelope, parse_envelope
from ledger_core.log.merkle import verify_consistency
from ledger_core.log.note import Checkpoint, NoteSignature, PublicKey, decode_base64, decode_hash, encode_base64
from ledger_core.log.reading import load_json, read_bounded, why_unread
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.documents import Successor

NEXT_SCHEMA, PROOFS_SCHEMA, CHANGE_SCHEMA = "cf-next-key/1", "cf-key-proofs/1", "cf-key-change/1"
MAX_FILE_BYTES = 16 * 1024 * 1024
"""Of a thousand logs, with room to spare."""
MAX_PATH = 128
"""Hashes of a proof: two for each doubling of the tree."""

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class NextKey:
    """The key that is to sign; the registry and what was signed last, for a proxy that cannot be asked by then."""

    successor: Successor
    registry: tuple[Envelope, ...]
    last: Mapping[str, Checkpoint]


def next_key_bytes(found: NextKey) -> bytes:
    """Return the file that says `found`."""
    key = found.successor
    return _bytes(
        {
            "assurance": key.assurance,
            "backend": key.backend,
            "key_id": key.key.key_id,
            "last": {origin: [item.size, encode_base64(item.root)] for origin, item in found.last.items()},
            "registry": [item.as_json() for item in found.registry],
            "schema": NEXT_SCHEMA,
            "spki": encode_base64(key.key.spki),
        }
    )


def read_next_key(path: Path) -> NextKey:
    """Return what the file says. Raises `InvalidInput`."""

    def read(value: dict[str, Any]) -> NextKey:
        key = PublicKey(decode_base64(value["spki"]))
        if key.key_id != value["key_id"]:
            raise ValueError("key_id is another key's")
        named = Successor(key=key, backend=_text(value["backend"]), assurance=_text(value["assurance"]))
        last = {_text(origin): _tree(origin, *item) for origin, item in value["last"].items()}
        return NextKey(successor=named, registry=tuple(map(parse_envelope, value["registry"])), last=last)

    return _read(path, NEXT_SCHEMA, read, "`python -m ledger_core.ceremony.host next` writes it, where the proxy runs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """What is shown of one log: that `tip` contains the tree beyond doubt, by `path`, or why not."""

    tip: Checkpoint
    path: tuple[bytes, ...] = ()
    why_not: str | None = None
    places: tuple[str, ...] = ()


def proofs_bytes(logs: Sequence[LogProof]) -> bytes:
    """Return the file that shows `logs`."""
    return _bytes(
        {
            "logs": [
                {
                    "origin": item.tip.origin,
                    "path": [encode_base64(node) for node in item.path],
                    "places": list(item.places),
                    "root": encode_base64(item.tip.root),
                    "size": item.tip.size,
                    "why_not": item.why_not,
                }
                for item in logs
            ],
            "schema": PROOFS_SCHEMA,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What such a file shows where the proxy runs; without a file nothing is shown."""

    logs: tuple[LogProof, ...] = field(default=())

    def former_lines(self, key: PublicKey, last: Checkpoint) -> list[NoteSignature]:
        """Return nothing: the ledger's host puts the former key's line beside ours when it records the change."""
        del key, last
        return []

    def why_not_proved(self, good: Checkpoint | None, tip: Checkpoint) -> str | None:
        """Return why the file does not prove that `tip` contains `good`."""
        shown = next((item for item in self.logs if item.tip.origin == tip.origin), None)
        if good is None:
            return "no tree of it is beyond doubt, so that there is none to lead on from"
        if shown is None:
            return "no proof was given when the change was installed"
        if shown.why_not is not None:
            return shown.why_not
        if shown.tip != tip:
            return f"the proof leads to {shown.tip.size} records, {tip.size} were signed when the change was installed"
        if not verify_consistency(good.size, good.root, tip.size, tip.root, shown.path):
            return "the proof that was given does not hold"
        return None

    def places(self, good: Checkpoint) -> list[str]:
        """Return where `good` lies, as the ledger's host says."""
        return [place for item in self.logs if item.tip.origin == good.origin for place in item.places]


def read_proofs(path: Path) -> Carried:
    """Return what the file shows. Raises `InvalidInput`."""

    def read(value: dict[str, Any]) -> Carried:
        return Carried(logs=tuple(_log_proof(item) for item in value["logs"]))

    return _read(path, PROOFS_SCHEMA, read, "`counterfoil keys compromise --draft` writes it, beside the draft.")


def change_bytes(change: Change) -> bytes:
    """Return the file that tells of `change`."""
    return _bytes({"change": asdict(change), "schema": CHANGE_SCHEMA})


def read_told_change(path: Path) -> Change:
    """Return the change that the file tells of; what it says is still to be held against the registry.

    Raises `InvalidInput`.
    """

    def read(value: dict[str, Any]) -> Change:
        told = dict(value["change"])
        logs = {_text(origin): LogChange(**item) for origin, item in told.pop("logs").items()}
        change = Change(**told, logs=logs)
        texts = (change.action, change.sha256, change.key_id or "", change.successor or "", change.reason or "")
        if not all(isinstance(item, str) for item in texts) or type(change.version) is not int:
            raise ValueError("a member is of another kind")
        for item in logs.values():
            parts = (item.root, item.note, item.good_root or "", item.good_note or "", item.statement or "")
            if not all(isinstance(part, str) for part in parts) or type(item.size) is not int:
                raise ValueError("a log's member is of another kind")
        return change

    remedy = "`python -m ledger_core.ceremony.host install` writes it, where the proxy runs."
    return _read(path, CHANGE_SCHEMA, read, remedy)


def _log_proof(item: dict[str, Any]) -> LogProof:
    why_not = item["why_not"]
    if not isinstance(item["path"], list) or len(item["path"]) > MAX_PATH or not isinstance(item["places"], list):
        raise ValueError("a path or places that cannot be")
    return LogProof(
        tip=_tree(item["origin"], item["size"], item["root"]),
        path=tuple(decode_hash(node) for node in item["path"]),
        why_not=None if why_not is None else _text(why_not),
        places=tuple(_text(place) for place in item["places"]),
    )


def _tree(origin: Any, size: Any, root: Any) -> Checkpoint:
    if type(size) is not int or size < 0:
        raise ValueError("a size that cannot be")
    return Checkpoint(_text(origin), size, decode_hash(_text(root)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    return value


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, indent=2).encode() + b"\n"


def _read(path: Path, schema: str, read: Callable[[dict[str, Any]], Read], remedy: str) -> Read:
    data = read_bounded(path, MAX_FILE_BYTES)
    if data is None:
        raise InvalidInput(f"{why_unread(path, MAX_FILE_BYTES)}.", file=str(path), remedy=remedy)
    try:
        value = load_json(data)
        if not isinstance(value, dict) or value.get("schema") != schema:
            raise ValueError(f"it is not of schema {schema}")
        return read(value)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        said = error.message.rstrip(".") if isinstance(error, InvalidInput) else error
        raise InvalidInput(f"it cannot be read: {said}.", file=str(path), remedy=remedy) from error
