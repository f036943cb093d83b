"""What a witness signs: the rules, as a pure function of what it signed last and what it is asked.

A log may grow and nothing else. So a ledger taken over by an attacker can append lies but can neither rewrite nor
fork what was signed. The rules follow C2SP tlog-witness, with one addition: asked for a size it is already past, this
witness answers with its newest checkpoint, because that one covers the smaller tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ledger_core.errors import InvalidInput
from ledger_core.log.merkle import verify_consistency
from ledger_core.log.note import Checkpoint, checkpoint_text, decode_hash, encode_base64, parse_checkpoint

MAX_PATH = 63
"""More hashes than this no consistency proof between 63-bit sizes has (C2SP tlog-witness)."""
MAX_REQUEST_BYTES = 64 * 1024


class Ruling(Enum):
    """What to do with a request."""

    STORE_AND_SIGN = "store_and_sign"
    """A larger tree that extends the last one: store it durably, then sign."""
    SIGN_AGAIN = "sign_again"
    """The last one itself: the signature was lost on the way, what it says is the same."""
    ANSWER_LAST = "answer_last"
    """A smaller tree than the last one: its checkpoint covers it."""
    MOVED_ON = "moved_on"
    """The proof starts from another size than the last one: the caller must prove from there."""
    FORK = "fork"
    """Another root for the same size, or a tree that does not contain the last one. Never signed."""
    UNKNOWN_HISTORY = "unknown_history"
    """The caller extends a tree of which this witness knows nothing: its state was lost, or it is the wrong one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checkpoint to sign, and the proof that it extends the one at `old_size`."""

    old_size: int
    consistency: tuple[bytes, ...]
    checkpoint: Checkpoint


def judge(last: Checkpoint | None, request: Request) -> Ruling:
    """Return what becomes of `request` when `last` is the last checkpoint stored for its origin."""
    asked = request.checkpoint
    if last is None:
        fresh = request.old_size == 0 and not request.consistency
        return Ruling.STORE_AND_SIGN if fresh else Ruling.UNKNOWN_HISTORY
    assert last.origin == asked.origin, "state of another log"
    if asked.size < last.size:
        return Ruling.ANSWER_LAST
    if asked.size == last.size:
        return Ruling.SIGN_AGAIN if asked.root == last.root else Ruling.FORK
    if request.old_size != last.size:
        return Ruling.MOVED_ON
    extends = verify_consistency(last.size, last.root, asked.size, asked.root, request.consistency)
    return Ruling.STORE_AND_SIGN if extends else Ruling.FORK


def format_request(origin: str, old_size: int, consistency: Sequence[bytes], size: int, root: bytes) -> bytes:
    """Return the body of an add-checkpoint request (C2SP tlog-witness), its note without signature lines."""
    lines = [f"old {old_size}\n", *(f"{encode_base64(item)}\n" for item in consistency)]
    return ("".join(lines) + "\n" + checkpoint_text(origin, size, root)).encode()


def parse_request(data: bytes) -> Request:
    """Return the request in `data`. Raises `InvalidInput` for any other form, and for a tree without leaves."""
    if len(data) > MAX_REQUEST_BYTES:
        raise InvalidInput(f"a request has at most {MAX_REQUEST_BYTES} bytes.", remedy=_REMEDY)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("a request is UTF-8.", remedy=_REMEDY) from error
    head, found, note = text.partition("\n\n")
    lines = head.split("\n")
    old = lines[0].removeprefix("old ")
    if not found or old == lines[0] or not old.isascii() or not old.isdecimal() or str(int(old[:20])) != old:
        raise InvalidInput("a request reads `old <size>`, hashes, a blank line, a checkpoint.", remedy=_REMEDY)
    if len(lines) - 1 > MAX_PATH:
        raise InvalidInput(f"a proof has at most {MAX_PATH} hashes.", remedy=_REMEDY)
    # Signature lines, if a caller sends any, say nothing here.
    checkpoint = parse_checkpoint(note.partition("\n\n")[0].removesuffix("\n") + "\n")
    if checkpoint.size == 0:
        raise InvalidInput("an empty tree is not signed.", remedy="Append the book's first record.")
    return Request(old_size=int(old), consistency=tuple(decode_hash(line) for line in lines[1:]), checkpoint=checkpoint)


_REMEDY = "See docs/formats/checkpoint.md, and C2SP tlog-witness."
