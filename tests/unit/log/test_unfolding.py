"""Blocks of lines: their hashes, how many are too many, and which line is too long wherever it lies."""

from __future__ import annotations

import gzip
from io import BytesIO

import pytest

from ledger_core.log.merkle import Frontier, leaf_hash, leaf_hashes_of
from ledger_core.log.record import MAX_RECORD_BYTES
from ledger_core.log.unfolding import MAX_BLOCK_LINES, Block, Unfolding

LONGEST = b"x" * MAX_RECORD_BYTES + b"\n"
TOO_LONG = b"x" * (MAX_RECORD_BYTES + 1) + b"\n"


@pytest.mark.parametrize("before", [0, 1, 1_000, MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, 200_000])
@pytest.mark.parametrize("after", [b"", b"a\n", LONGEST])
def test_a_line_that_is_too_long_is_found_wherever_it_lies(before: int, after: bytes) -> None:
    short = b"y" * 99 + b"\n"
    lines = short * (before // 100) + (b"z" * (before % 100 - 1) + b"\n" if before % 100 else b"")
    for line, expected in ((LONGEST, False), (TOO_LONG, True)):
        data = lines + line + after
        assert Block(data=data, count=data.count(b"\n"), hashes=None).has_long_line is expected


def test_lines_are_hashed_without_their_newlines_and_split_nowhere_else() -> None:
    lines = [b"", b"a", b"b\r", b"\x0b\x0c\x1c\x85", b"\xe2\x80\xa8", b"c"]
    text = b"".join(line + b"\n" for line in lines)
    assert leaf_hashes_of(text, len(lines)) == b"".join(map(leaf_hash, lines))
    assert leaf_hashes_of(text, len(lines) - 1) is None


def test_a_block_of_too_many_lines_is_counted_and_not_hashed() -> None:
    for count in (MAX_BLOCK_LINES, MAX_BLOCK_LINES + 1):
        (block,) = Unfolding(BytesIO(gzip.compress(b"\n" * count)), 10_000)
        assert block.count == count
        assert (block.hashes is None) is (count > MAX_BLOCK_LINES)


def test_hashes_of_another_length_grow_no_tree() -> None:
    leaf = leaf_hash(b"a")
    assert Frontier().extend_joined(leaf + leaf) == Frontier().extend([leaf, leaf])
    for hashes in (leaf[:-1], leaf + b"a"):
        with pytest.raises(ValueError, match="32 bytes"):
            Frontier().extend_joined(hashes)
