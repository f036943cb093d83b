"""The Merkle tree of RFC 6962 over SHA-256: frontier, roots, proofs, and the checks of proofs.

Leaf `SHA-256(0x00 || bytes)`, node `SHA-256(0x01 || left || right)`; an odd node is promoted, never doubled.
Writers keep a `Frontier` (the peaks, O(log n)); whoever builds a proof brings a `NodeReader` for complete
subtrees. Because a proof of `old -> new`, and the path of any leaf at or after `old`, touch nothing before
`old` but its peaks, `RangeTree` answers both from the frontier and the new leaves alone: no read from the
database on the write path.

Sizes count leaves, indexes are zero-based, hashes are 32 raw bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from itertools import islice
from struct import Struct

HASH_BYTES = 32
_PAIRS = Struct(f"{2 * HASH_BYTES}s")
MAX_SIZE = 2**63 - 1

NodeReader = Callable[[int, int], bytes]
"""`(level, index)` -> the hash of the complete, aligned subtree of 2^level leaves that starts at leaf index *
2^level."""

# Copying a state that holds the prefix takes half the time of building one (0.37 against 0.76 microseconds a
# node).
_LEAF = sha256(b"\x00")
_NODE = sha256(b"\x01")

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the leaf hash of a record's bytes (RFC 6962 section 2.1)."""
    state = _LEAF.copy()
    state.update(data)
    return state.digest()


def leaf_hashes(lines: Iterable[bytes]) -> list[bytes]:
    """Return the leaf hash of each of `lines`, without a Python call per line."""
    copy = _LEAF.copy
    # `update` answers None, so that `or` goes on to the digest.
    return [(state := copy()).update(line) or state.digest() for line in lines]  # type: ignore[func-returns-value]


def leaf_hashes_of(text: bytes, most: int) -> bytes | None:
    """Return the leaf hashes of the lines of `text`, without their newlines, one after another; None for over `most`.

    Lines of a buffer are found four times as fast as `split` finds them, which looks at every byte by itself.
    """
    copy = _LEAF.copy
    found = [
        (state := copy()).update(line[:-1]) or state.digest()  # type: ignore[func-returns-value]
        for line in islice(BytesIO(text), most + 1)
    ]
    return b"".join(found) if len(found) <= most else None


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an interior node."""
    state = _NODE.copy()
    state.update(left + right)
    return state.digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The peaks of a tree of `size` leaves, largest first: all that appending needs.

    There is one peak for each bit set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has not {len(self.peaks)} peaks")

    def extend(self, hashes: Iterable[bytes]) -> Frontier:
        """Return the frontier after appending the leaf `hashes`, in order."""
        return self.extend_joined(b"".join(hashes))

    def extend_joined(self, hashes: bytes) -> Frontier:
        """Return the frontier after appending leaf hashes that stand one after another. Raises as `from_bytes`."""
        if len(hashes) % HASH_BYTES:
            raise ValueError("leaf hashes have 32 bytes each")
        grown = _grow(self.size, dict(self._by_level()), hashes)
        return _from_levels(self.size + len(hashes) // HASH_BYTES, grown)

    def root(self) -> bytes:
        """Return the Merkle tree hash at this size."""
        if not self.peaks:
            return EMPTY_ROOT
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def to_bytes(self) -> bytes:
        """Return the peaks, largest first, 32 bytes each."""
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Return the frontier that `to_bytes` wrote. Raises `ValueError` when the length does not fit `size`."""
        if len(data) % HASH_BYTES:
            raise ValueError("a frontier is a sequence of 32-byte hashes")
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))

    def _by_level(self) -> Iterable[tuple[int, bytes]]:
        levels = [level for level in range(self.size.bit_length() - 1, -1, -1) if self.size >> level & 1]
        return zip(levels, self.peaks, strict=True)


class RangeTree:
    """The part of a tree that `leaves` add on top of `frontier`; a `NodeReader` for it and for the old peaks."""

    def __init__(self, frontier: Frontier, leaves: Sequence[bytes]) -> None:
        self._old_size = frontier.size
        self._peaks = dict(frontier._by_level())
        self._rows: list[bytes] = []
        self.size = frontier.size + len(leaves)
        grown = _grow(frontier.size, dict(self._peaks), b"".join(leaves), self._rows)
        self.frontier = _from_levels(self.size, grown)

    def node(self, level: int, index: int) -> bytes:
        """Return a complete subtree's hash. Raises `KeyError` for one that lies before the frontier's peaks."""
        first = self._old_size >> level
        at = HASH_BYTES * (index - first)
        if at >= 0 and level < len(self._rows) and at < len(self._rows[level]):
            return self._rows[level][at : at + HASH_BYTES]
        if index == first - 1 and level in self._peaks:
            return self._peaks[level]
        raise KeyError((level, index))


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, leaf to root (RFC 6962 section
    2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low = middle
    path.reverse()
    return path


def consistency_path(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of that of `new` (RFC 6962 section 2.1.2).

    Empty when `old` is 0 or equals `new`: there is nothing to show.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no consistency proof leads from {old} to {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low, whole = middle, False
    if not whole:
        path.append(_range_root(low, high, node))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Say whether `path` proves leaf hash `leaf` at `index` in the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE or not _all_hashes(leaf, root, *path):
        return False
    found, at, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether `path` proves the old tree a prefix of the new one (RFC 9162 section 2.1.4.2).

    From size 0 nothing can be proved, so the answer is no; equal sizes need equal roots and an empty path.
    """
    if not 0 < old_size <= new_size <= MAX_SIZE or not _all_hashes(old_root, new_root, *path):
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_found = new_found = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_found = node_hash(sibling, old_found)
            new_found = node_hash(sibling, new_found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root


def _grow(size: int, pending: dict[int, bytes], row: bytes, rows: list[bytes] | None = None) -> dict[int, bytes]:
    """Append the hashes in `row` level by level; return the peaks by level, and each level in `rows` when asked.

    The two children of a node stand side by side, so that they need not be put together one pair at a time.
    """
    copy = _NODE.copy
    level = 0
    while row:
        if rows is not None:
            rows.append(row)
        if size >> level & 1:
            row = pending.pop(level) + row
        if len(row) % _PAIRS.size:
            pending[level], row = row[-HASH_BYTES:], row[:-HASH_BYTES]
        nodes = [
            (state := copy()).update(pair) or state.digest()  # type: ignore[func-returns-value]
            for (pair,) in _PAIRS.iter_unpack(row)
        ]
        row = b"".join(nodes)
        level += 1
    return pending


def _from_levels(size: int, peaks: dict[int, bytes]) -> Frontier:
    return Frontier(size, tuple(peaks[level] for level in sorted(peaks, reverse=True)))


def _split(count: int) -> int:
    """Return the largest power of two below `count` (which is at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(low: int, high: int, node: NodeReader) -> bytes:
    """Return the hash over leaves [low, high), where `low` is aligned as RFC 6962's recursion leaves it."""
    found: bytes | None = None
    parts: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        parts.append(node(level, low >> level))
        low += 1 << level
    for part in reversed(parts):
        found = part if found is None else node_hash(part, found)
    assert found is not None, "an empty range has no root"
    return found


def _all_hashes(*hashes: bytes) -> bool:
    return all(len(item) == HASH_BYTES for item in hashes)
