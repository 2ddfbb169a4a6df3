"""Merkle trees of any size against the recursive definition, and that no altered proof is accepted."""

from __future__ import annotations

import merkle_definitions as reference
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mainland_chain.log import tree
from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import KECCAK, SM3, HashFunction
from mainland_chain.log.proof import inclusion_proof_length, verify_consistency, verify_inclusion

HASHES = st.sampled_from([SM3, KECCAK])
LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=200)


class Nodes(dict[tuple[int, int], bytes]):
    def get(self, level: int, index: int) -> bytes:  # type: ignore[override]
        return self[level, index]


def _grow(hash_function: HashFunction, leaves: list[bytes], cuts: list[int]) -> tuple[Nodes, tree.CompactRange]:
    """Append in the portions that `cuts` names, reloading the frontier from storage between them."""
    nodes, size = Nodes(), 0
    for end in [*sorted(cut for cut in cuts if cut <= len(leaves)), len(leaves)]:
        frontier = tree.CompactRange.load(nodes, hash_function, size)
        frontier, finished = frontier.extend(hash_function.leaf(data) for data in leaves[size:end])
        for node in finished:
            assert (node.level, node.index) not in nodes
            nodes[node.level, node.index] = node.hash
        size = end
    return nodes, tree.CompactRange.load(nodes, hash_function, size)


@given(HASHES, LEAVES, st.lists(st.integers(0, 200), max_size=4))
@settings(deadline=None)
def test_roots_are_the_definitions(hash_function: HashFunction, leaves: list[bytes], cuts: list[int]) -> None:
    nodes, frontier = _grow(hash_function, leaves, cuts)
    expected = reference.mth(hash_function.digest, leaves)
    assert frontier.root() == expected
    assert tree.root(nodes, hash_function, len(leaves)) == expected
    assert tree.merkle_root(hash_function, [hash_function.leaf(data) for data in leaves]) == expected
    past = len(leaves) // 2
    assert tree.root(nodes, hash_function, past) == reference.mth(hash_function.digest, leaves[:past])


@given(HASHES, LEAVES, st.data())
@settings(deadline=None)
def test_proofs_are_the_definitions_and_verify(
    hash_function: HashFunction, leaves: list[bytes], data: st.DataObject
) -> None:
    nodes, _ = _grow(hash_function, leaves, [])
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    hashes = [hash_function.leaf(leaf) for leaf in leaves[:size]]
    root = reference.mth(hash_function.digest, leaves[:size])
    path = tree.inclusion_proof(nodes, hash_function, index, size)
    assert list(path) == reference.path(hash_function.digest, index, leaves[:size])
    assert path == tree.merkle_path(hash_function, hashes, index)
    assert len(path) == inclusion_proof_length(index, size)
    verify_inclusion(hash_function, hashes[index], index, size, path, root)
    first = data.draw(st.integers(1, size))
    step = tree.consistency_proof(nodes, hash_function, first, size)
    assert list(step) == reference.proof(hash_function.digest, first, leaves[:size])
    first_root = reference.mth(hash_function.digest, leaves[:first])
    verify_consistency(hash_function, first, first_root, size, root, step)


def _flipped(value: bytes, position: int) -> bytes:
    changed = bytearray(value)
    changed[position // 8] ^= 1 << (position % 8)
    return bytes(changed)


BIT = st.integers(0, 255)


@given(st.integers(1, 100), st.data())
@settings(deadline=None)
def test_altered_inclusion_proofs_are_refused(size: int, data: st.DataObject) -> None:
    hashes = [SM3.leaf(i.to_bytes(4, "big")) for i in range(size)]
    root = tree.merkle_root(SM3, hashes)
    index = data.draw(st.integers(0, size - 1))
    path = tree.merkle_path(SM3, hashes, index)
    bit = data.draw(BIT)

    def refused(leaf: bytes, index: int, size: int, path: tuple[bytes, ...], root: bytes) -> None:
        with pytest.raises(ProofError):
            verify_inclusion(SM3, leaf, index, size, path, root)

    refused(_flipped(hashes[index], bit), index, size, path, root)
    refused(hashes[index], index, size, path, _flipped(root, bit))
    for i in range(len(path)):
        refused(hashes[index], index, size, (*path[:i], _flipped(path[i], bit), *path[i + 1 :]), root)
        refused(hashes[index], index, size, (*path[:i], *path[i + 1 :]), root)
        refused(hashes[index], index, size, (*path[:i], path[i], *path[i:]), root)
    for other in range(size):
        if other != index:
            refused(hashes[index], other, size, path, root)
            refused(hashes[other], index, size, path, root)
    if len(path) > 1:
        refused(hashes[index], index, size, tuple(reversed(path)), root)


@given(st.integers(1, 100), st.integers(1, 200), st.data())
@settings(deadline=None)
def test_a_proof_for_another_size_is_refused_unless_its_path_is_the_same(
    size: int, other: int, data: st.DataObject
) -> None:
    """One path can be that of several sizes (RFC 9162 §2.1.3.2): that is why a root travels with a signed size."""
    hashes = [SM3.leaf(i.to_bytes(4, "big")) for i in range(200)]
    index = data.draw(st.integers(0, size - 1))
    path = tree.merkle_path(SM3, hashes[:size], index)
    root = tree.merkle_root(SM3, hashes[:size])

    def shape(size: int) -> list[bool] | None:
        if index >= size:
            return None
        position, width, sides = index, size, []
        while width > 1:
            if position ^ 1 < width:
                sides.append(bool(position & 1))
            position, width = position >> 1, (width + 1) >> 1
        return sides

    assume(shape(other) != shape(size))
    with pytest.raises(ProofError):
        verify_inclusion(SM3, hashes[index], index, other, path, root)


@given(st.integers(2, 100), st.data())
@settings(deadline=None)
def test_altered_consistency_proofs_are_refused(second: int, data: st.DataObject) -> None:
    hashes = [KECCAK.leaf(i.to_bytes(4, "big")) for i in range(second)]
    roots = [tree.merkle_root(KECCAK, hashes[:size]) for size in range(second + 1)]
    nodes = Nodes({(n.level, n.index): n.hash for n in tree.CompactRange(KECCAK).extend(hashes)[1]})
    first = data.draw(st.integers(1, second - 1))
    step = tree.consistency_proof(nodes, KECCAK, first, second)
    bit = data.draw(BIT)

    def refused(first_root: bytes, second_root: bytes, step: tuple[bytes, ...]) -> None:
        with pytest.raises(ProofError):
            verify_consistency(KECCAK, first, first_root, second, second_root, step)

    refused(_flipped(roots[first], bit), roots[second], step)
    refused(roots[first], _flipped(roots[second], bit), step)
    for i in range(len(step)):
        refused(roots[first], roots[second], (*step[:i], _flipped(step[i], bit), *step[i + 1 :]))
        refused(roots[first], roots[second], (*step[:i], *step[i + 1 :]))
        refused(roots[first], roots[second], (*step[:i], step[i], *step[i:]))
    # A log that rewrote one old leaf cannot show consistency with what it said before.
    rewritten = list(hashes)
    rewritten[data.draw(st.integers(0, first - 1))] = KECCAK.leaf(b"rewritten")
    forged = Nodes({(n.level, n.index): n.hash for n in tree.CompactRange(KECCAK).extend(rewritten)[1]})
    forged_step = tree.consistency_proof(forged, KECCAK, first, second)
    refused(roots[first], tree.merkle_root(KECCAK, rewritten), forged_step)
    refused(roots[first], tree.merkle_root(KECCAK, rewritten), step)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None, max_examples=300)
def test_a_consistency_proof_never_links_roots_of_other_sizes(a: int, b: int, c: int, d: int) -> None:
    first, second = min(a, b), max(a, b)
    other_first, other_second = min(c, d), max(c, d)
    hashes = [SM3.leaf(bytes((i,))) for i in range(41)]
    roots = [tree.merkle_root(SM3, hashes[:size]) for size in range(41)]
    nodes = Nodes({(n.level, n.index): n.hash for n in tree.CompactRange(SM3).extend(hashes)[1]})
    step = tree.consistency_proof(nodes, SM3, first, second)
    assume((first, second) != (other_first, other_second))
    with pytest.raises(ProofError):  # roots of the claimed sizes, proof of others
        if list(step) != list(tree.consistency_proof(nodes, SM3, other_first, other_second)):
            verify_consistency(SM3, other_first, roots[other_first], other_second, roots[other_second], step)
        else:
            raise ProofError("ROOT_MISMATCH", "the same proof serves both pairs")
