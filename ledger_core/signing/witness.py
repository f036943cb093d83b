"""What a witness signs: the rules, as a pure function of what it signed last and what it is asked.

A log may grow and nothing else, and only by records that it shows: a request carries the old tree's peaks and the leaf
hash of every record since, and the root is computed here. (A consistency proof would show that the old tree lies in
the new one and nothing of what was added: with invented subtrees any size can be had.) So a ledger taken over by an
attacker can append lies but can neither rewrite nor fork what was signed. The rules otherwise follow C2SP
tlog-witness, with one addition: asked for a size it is already past, this witness answers with its newest checkpoint,
because that one covers the smaller tree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ledger_core.errors import InvalidInput
from ledger_core.log.merkle import HASH_BYTES, MAX_SIZE, Frontier
from ledger_core.log.note import (
    Checkpoint,
    checkpoint_text,
    decode_base64,
    decode_hash,
    encode_base64,
    parse_checkpoint,
)
from ledger_core.signing.port import MAX_LEAVES

MAX_REQUEST_BYTES = 512 * 1024
"""`MAX_LEAVES` hashes in base64 (427 kB), 63 peaks, and the checkpoint."""

_LEAVES = "leaves "
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


class Ruling(Enum):
    """What to do with a request."""

    STORE_AND_SIGN = "store_and_sign"
    """A larger tree that extends the last one: store it durably, then sign."""
    SIGN_AGAIN = "sign_again"
    """The last one itself: the signature was lost on the way, what it says is the same."""
    ANSWER_LAST = "answer_last"
    """A smaller tree than the last one: its checkpoint covers it."""
    MOVED_ON = "moved_on"
    """The request starts from another size than the last one: the caller must start from there."""
    FORK = "fork"
    """Another root for the same size, or a tree that does not contain the last one. Never signed."""
    UNKNOWN_HISTORY = "unknown_history"
    """The caller extends a tree of which this witness knows nothing: its state was lost, or it is the wrong one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checkpoint to sign, the tree that was signed before it, and the leaf hashes of all records since."""

    old: Frontier
    leaves: tuple[bytes, ...]
    checkpoint: Checkpoint


def judge(last: Checkpoint | None, request: Request) -> Ruling:
    """Return what becomes of `request` when `last` is the last checkpoint stored for its origin."""
    asked = request.checkpoint
    if last is None:
        if request.old.size > 0:
            return Ruling.UNKNOWN_HISTORY
    else:
        assert last.origin == asked.origin, "state of another log"
        if asked.size < last.size:
            return Ruling.ANSWER_LAST
        if asked.size == last.size:
            return Ruling.SIGN_AGAIN if asked.root == last.root else Ruling.FORK
        if request.old.size != last.size:
            return Ruling.MOVED_ON
        # The peaks come from the caller: those that fold to the root which was signed are the peaks of that tree.
        if request.old.root() != last.root:
            return Ruling.FORK
    grown = request.old.extend(request.leaves)
    return Ruling.STORE_AND_SIGN if (grown.size, grown.root()) == (asked.size, asked.root) else Ruling.FORK


def format_request(origin: str, old: Frontier, leaves: Sequence[bytes], root: bytes) -> bytes:
    """Return the body of a request for the tree that `leaves` make of `old` (docs/formats/checkpoint.md)."""
    lines = [f"old {old.size}\n", *(f"{encode_base64(peak)}\n" for peak in old.peaks)]
    if leaves:
        lines.append(f"{_LEAVES}{encode_base64(b''.join(leaves))}\n")
    return ("".join(lines) + "\n" + checkpoint_text(origin, old.size + len(leaves), root)).encode()


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
    size = lines[0].removeprefix("old ")
    if not found or size == lines[0] or _SIZE.match(size) is None or int(size) > MAX_SIZE:
        raise InvalidInput("a request reads `old <size>`, hashes, a blank line, a checkpoint.", remedy=_REMEDY)
    leaves = _parse_leaves(lines.pop()) if lines[-1].startswith(_LEAVES) else ()
    if len(lines) - 1 != int(size).bit_count():
        raise InvalidInput(f"a tree of {size} leaves has {int(size).bit_count()} peaks.", remedy=_REMEDY)
    old = Frontier(int(size), tuple(decode_hash(line) for line in lines[1:]))
    # Signature lines, if a caller sends any, say nothing here.
    checkpoint = parse_checkpoint(note.partition("\n\n")[0].removesuffix("\n") + "\n")
    if checkpoint.size == 0:
        raise InvalidInput("an empty tree is not signed.", remedy="Append the book's first record.")
    if checkpoint.size != old.size + len(leaves):
        raise InvalidInput(
            f"size {checkpoint.size} is not {old.size} and the {len(leaves)} leaf hashes that are shown.",
            remedy=f"Send the leaf hash of every record since, {MAX_LEAVES:,} at most; a longer tail in steps.",
        )
    return Request(old=old, leaves=leaves, checkpoint=checkpoint)


_REMEDY = "See docs/formats/checkpoint.md."


def _parse_leaves(line: str) -> tuple[bytes, ...]:
    data = decode_base64(line.removeprefix(_LEAVES))
    count, rest = divmod(len(data), HASH_BYTES)
    if rest or not 0 < count <= MAX_LEAVES:
        raise InvalidInput(f"leaves are 1 to {MAX_LEAVES:,} hashes of {HASH_BYTES} bytes.", remedy=_REMEDY)
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
