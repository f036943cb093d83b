"""The tree against RFC 6962's known answers and against a naive tree, at every size where corners lie."""

from __future__ import annotations

import pytest

from ledger_core.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    RangeTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
# The reference log's constants (google/certificate-transparency, merkletree/merkle_tree_test.cc).
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATH_OF_0_IN_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
LEAVES = [leaf_hash(b"%d" % number) for number in range(70)]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it reads."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return node_hash(naive_root(leaves[:middle]), naive_root(leaves[middle:]))


NAIVE = [naive_root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_log(size: int) -> None:
    assert Frontier().extend(leaf_hashes(INPUTS[:size])).root().hex() == ROOTS[size]


def test_a_path_is_that_of_the_reference_log() -> None:
    tree = RangeTree(Frontier(), leaf_hashes(INPUTS))
    assert [item.hex() for item in inclusion_path(0, 8, tree.node)] == PATH_OF_0_IN_8


@pytest.mark.parametrize("size", range(71))
def test_every_inclusion_proof_of_a_size_verifies_against_a_naive_tree(size: int) -> None:
    tree = RangeTree(Frontier(), LEAVES[:size])
    assert tree.frontier.root() == NAIVE[size]
    for index in range(size):
        path = inclusion_path(index, size, tree.node)
        assert verify_inclusion(LEAVES[index], index, size, path, NAIVE[size])
        assert not verify_inclusion(LEAVES[index], index, size, [*path, bytes(32)], NAIVE[size])
        assert not verify_inclusion(LEAVES[index - 1], index, size, path, NAIVE[size]) or size == 1
        if path:
            assert not verify_inclusion(LEAVES[index], index, size, path[:-1], NAIVE[size])
            # The last path of an odd tree may be short enough to fit another place; it must not verify there.
            assert not verify_inclusion(LEAVES[index], (index + 1) % size, size, path, NAIVE[size])


@pytest.mark.parametrize("old", range(71))
def test_every_consistency_proof_from_a_size_needs_only_its_frontier_and_the_new_leaves(old: int) -> None:
    frontier = Frontier().extend(LEAVES[:old])
    for new in range(old, 71):
        tree = RangeTree(frontier, LEAVES[old:new])
        assert tree.frontier.root() == NAIVE[new]
        path = consistency_path(old, new, tree.node)
        assert verify_consistency(old, NAIVE[old], new, NAIVE[new], path) is (old > 0)
        for index in range(old, new):
            assert verify_inclusion(LEAVES[index], index, new, inclusion_path(index, new, tree.node), NAIVE[new])
        if 0 < old < new:
            assert not verify_consistency(old, NAIVE[old - 1], new, NAIVE[new], path)
            assert not verify_consistency(old, NAIVE[old], new, NAIVE[new - 1], path)
            assert not verify_consistency(old, NAIVE[old], new, NAIVE[new], [*path, bytes(32)])
            assert not verify_consistency(old, NAIVE[old], new, NAIVE[new], path[:-1])


def test_from_size_0_nothing_is_proved() -> None:
    assert not verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert not verify_consistency(0, EMPTY_ROOT, 5, NAIVE[5], [])


def test_equal_sizes_need_equal_roots_and_an_empty_path() -> None:
    assert verify_consistency(5, NAIVE[5], 5, NAIVE[5], [])
    assert not verify_consistency(5, NAIVE[5], 5, NAIVE[6], [])
    assert not verify_consistency(5, NAIVE[5], 5, NAIVE[5], [NAIVE[5]])


def test_a_tree_never_shrinks() -> None:
    assert not verify_consistency(6, NAIVE[6], 5, NAIVE[5], [])
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_path(6, 5, RangeTree(Frontier(), LEAVES[:6]).node)


def test_a_proof_of_a_leaf_outside_the_tree_is_refused() -> None:
    assert not verify_inclusion(LEAVES[0], 5, 5, [], LEAVES[0])
    assert not verify_inclusion(LEAVES[0], -1, 1, [], LEAVES[0])
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_path(5, 5, RangeTree(Frontier(), LEAVES[:5]).node)


def test_hashes_of_another_length_prove_nothing() -> None:
    assert not verify_inclusion(LEAVES[0][:31], 0, 1, [], LEAVES[0][:31])
    assert not verify_consistency(1, NAIVE[1], 2, NAIVE[2], [LEAVES[1] + b"\0"])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64, 70])
def test_a_frontier_survives_its_bytes(size: int) -> None:
    frontier = Frontier().extend(LEAVES[:size])
    assert Frontier.from_bytes(size, frontier.to_bytes()) == frontier
    assert frontier.extend([]) == frontier


def test_a_frontier_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32-byte"):
        Frontier.from_bytes(1, b"short")
    with pytest.raises(ValueError, match="peaks"):
        Frontier.from_bytes(3, bytes(32))


def test_a_range_tree_does_not_answer_for_what_lies_before_its_frontier() -> None:
    tree = RangeTree(Frontier().extend(LEAVES[:8]), LEAVES[8:12])
    with pytest.raises(KeyError):
        tree.node(0, 3)
