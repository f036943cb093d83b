"""Trees of any size, grown in any steps, proved in any direction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger_core.log.merkle import (
    Frontier,
    RangeTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)


@given(st.lists(st.integers(0, 300), max_size=8))
def test_a_frontier_does_not_depend_on_the_steps_it_grew_by(steps: list[int]) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(sum(steps))]
    frontier, at = Frontier(), 0
    for step in steps:
        frontier = frontier.extend(leaves[at : at + step])
        at += step
    assert frontier == Frontier().extend(leaves)


@given(st.integers(1, 2_000), st.integers(1, 2_000), st.data())
def test_every_proof_verifies_and_no_other_does(one: int, two: int, data: st.DataObject) -> None:
    old, new = sorted((one, two))
    leaves = [leaf_hash(b"%d" % number) for number in range(new)]
    before = Frontier().extend(leaves[:old])
    tree = RangeTree(before, leaves[old:])
    root = tree.frontier.root()
    path = consistency_path(old, new, tree.node)
    assert verify_consistency(old, before.root(), new, root, path)
    index = data.draw(st.integers(0, new - 1))
    whole = RangeTree(Frontier(), leaves)
    proof = inclusion_path(index, new, whole.node)
    assert verify_inclusion(leaves[index], index, new, proof, root)
    for hashes, verify in (
        (path, lambda changed: verify_consistency(old, before.root(), new, root, changed)),
        (proof, lambda changed: verify_inclusion(leaves[index], index, new, changed, root)),
    ):
        if hashes:
            place = data.draw(st.integers(0, len(hashes) - 1))
            assert not verify([*hashes[:place], leaf_hash(b"other"), *hashes[place + 1 :]])
            assert not verify([*hashes[:place], *hashes[place + 1 :]])
