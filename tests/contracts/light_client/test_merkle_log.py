"""MerkleLog against the recursive definitions: good proofs hold, anything else does not."""

from __future__ import annotations

import random

import pytest
from eth_hash.auto import keccak
from evm_harness import Contract, Evm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merkle_reference import Tree

from mainland_chain.log import proof as ledger_proof
from mainland_chain.log.hashing import KECCAK

LARGEST = 2000
TREE = Tree([keccak(b"\0" + i.to_bytes(4, "big")) for i in range(LARGEST)])
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def log() -> Contract:
    return Evm().deploy("MerkleLogHarness")


def flip(value: bytes, position: int) -> bytes:
    return value[:position] + bytes([value[position] ^ (1 << position % 8)]) + value[position + 1 :]


def flipped(proof: list[bytes]) -> list[list[bytes]]:
    """Every byte of every node."""
    return [
        [*proof[:i], flip(node, position), *proof[i + 1 :]] for i, node in enumerate(proof) for position in range(32)
    ]


def test_leaf_hash(log: Contract) -> None:
    for data in (b"", b"\0", b"claim", bytes(1000)):
        assert log.leafHash(data) == keccak(b"\0" + data)


def test_all_inclusion_proofs_of_small_logs(log: Contract) -> None:
    stranger = keccak(b"stranger")
    for size in range(1, 18):
        root = TREE.root(size)
        for index in range(size):
            leaf, proof = TREE.leaves[index], TREE.inclusion(index, size)
            assert log.verifyInclusion(leaf, index, size, proof, root)
            for other in (*(i for i in range(size + 2) if i != index), index + 2**64, 2**256 - 1):
                assert not log.verifyInclusion(leaf, other, size, proof, root)
            for wrong in ([*proof, stranger], [*proof, root], proof[:-1], proof[1:], proof[::-1]):
                if wrong != proof:
                    assert not log.verifyInclusion(leaf, index, size, wrong, root)
            for other_size in range(index + 1):
                assert not log.verifyInclusion(leaf, index, other_size, proof, root)


def test_all_consistency_proofs_of_small_logs(log: Contract) -> None:
    stranger = keccak(b"stranger")
    for second in range(1, 18):
        root = TREE.root(second)
        assert not log.verifyConsistency(0, second, TREE.root(0), root, [])
        for first in range(1, second + 1):
            old, proof = TREE.root(first), TREE.consistency(first, second)
            assert log.verifyConsistency(first, second, old, root, proof)
            for other in (i for i in range(second + 2) if i != first):
                assert not log.verifyConsistency(other, second, old, root, proof)
            for wrong in ([*proof, stranger], [*proof, root], proof[:-1], proof[1:]):
                if wrong != proof:
                    assert not log.verifyConsistency(first, second, old, root, wrong)
            assert not log.verifyConsistency(first, second, flip(old, 5), root, proof)
            assert not log.verifyConsistency(first, second, old, flip(root, 5), proof)
            if first < second:
                assert not log.verifyConsistency(second, first, root, old, proof)


@SETTINGS
@given(data=st.data())
def test_inclusion(log: Contract, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    leaf, proof, root = TREE.leaves[index], TREE.inclusion(index, size), TREE.root(size)
    assert log.verifyInclusion(leaf, index, size, proof, root)
    ledger_proof.verify_inclusion(KECCAK, leaf, index, size, proof, root)
    for bad in random.Random(size).sample(flipped(proof), min(40, 32 * len(proof))):
        assert not log.verifyInclusion(leaf, index, size, bad, root)
    assert not log.verifyInclusion(flip(leaf, size % 32), index, size, proof, root)
    assert not log.verifyInclusion(leaf, index, size, proof, flip(root, index % 32))
    for bit in range(size.bit_length()):
        if index ^ (1 << bit) < size:
            assert not log.verifyInclusion(leaf, index ^ (1 << bit), size, proof, root)


def test_every_flipped_byte(log: Contract) -> None:
    size, index, first = 1237, 1100, 777
    root, proof = TREE.root(size), TREE.inclusion(index, size)
    for bad in flipped(proof):
        assert not log.verifyInclusion(TREE.leaves[index], index, size, bad, root)
    proof = TREE.consistency(first, size)
    for bad in flipped(proof):
        assert not log.verifyConsistency(first, size, TREE.root(first), root, bad)


@SETTINGS
@given(data=st.data())
def test_consistency(log: Contract, data: st.DataObject) -> None:
    second = data.draw(st.integers(1, LARGEST))
    first = data.draw(st.integers(1, second))
    old, root, proof = TREE.root(first), TREE.root(second), TREE.consistency(first, second)
    assert log.verifyConsistency(first, second, old, root, proof)
    for bad in random.Random(second).sample(flipped(proof), min(40, 32 * len(proof))):
        assert not log.verifyConsistency(first, second, old, root, bad)
    assert not log.verifyConsistency(first, second, flip(old, first % 32), root, proof)
    assert not log.verifyConsistency(first, second, old, flip(root, first % 32), proof)


@SETTINGS
@given(
    leaf=st.binary(min_size=32, max_size=32),
    index=st.integers(0, 2**256 - 1),
    size=st.integers(0, 2**256 - 1),
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=8),
    root=st.binary(min_size=32, max_size=32),
)
def test_noise_is_refused(log: Contract, leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    assert not log.verifyInclusion(leaf, index, size, proof, root) or (size == 1 and leaf == root)
    assert not log.verifyConsistency(index, size, leaf, root, proof) or (index == size and leaf == root and not proof)
