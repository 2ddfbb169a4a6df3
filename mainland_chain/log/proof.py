"""Strict verifiers of Merkle proofs (RFC 9162 §2.1.3.2, §2.1.4.2): pure, and the same shape as the EVM's verifier.

A proof has exactly one acceptable length, which follows from the sizes alone; it is checked before anything is
hashed. The tree size is part of what is proven only if the root is bound to it by a signature: take both from one
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import HashFunction
from mainland_chain.log.tree import check_hash, check_index, check_size, check_sizes


def _shape(index: int, size: int) -> tuple[int, int]:
    """(levels where the path of leaf `index` and the tree's right edge differ, left siblings above those)."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def inclusion_proof_length(index: int, size: int) -> int:
    """Hashes in the inclusion proof of leaf `index` of `size`. Raises `ProofError` (sizes and index as below)."""
    _check_tree(index, size)
    return sum(_shape(index, size))


def _check_tree(index: int, size: int) -> None:
    check_size(size)
    if size == 0:
        raise ProofError("EMPTY_TREE", "nothing is in a tree of size 0")
    check_index(index, size)


def _check_proof(hash_function: HashFunction, proof: Sequence[bytes], expected: int) -> None:
    if len(proof) < expected:
        raise ProofError("PROOF_TOO_SHORT", f"{expected} hashes expected, not {len(proof)}")
    if len(proof) > expected:
        raise ProofError("PROOF_TOO_LONG", f"{expected} hashes expected, not {len(proof)}")
    for value in proof:
        check_hash(hash_function, value, "proof element")


def root_from_inclusion(
    hash_function: HashFunction, leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]
) -> bytes:
    """The only root under which `proof` shows `leaf_hash` at `index` in a tree of `size` leaves.

    Raises `ProofError` (`SIZE_OUT_OF_RANGE`, `EMPTY_TREE`, `INDEX_OUT_OF_RANGE`, `PROOF_TOO_SHORT`, `PROOF_TOO_LONG`,
    `BAD_HASH_LENGTH`).
    """
    _check_tree(index, size)
    check_hash(hash_function, leaf_hash, "leaf hash")
    inner, border = _shape(index, size)
    _check_proof(hash_function, proof, inner + border)
    current = _climb(hash_function, leaf_hash, index, proof[:inner])
    return _hang_left(hash_function, current, proof[inner:])


def verify_inclusion(
    hash_function: HashFunction, leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if `proof` (leaf to root) shows `leaf_hash` at `index` of the tree of `size` leaves with `root`.

    Raises `ProofError`: the codes of `root_from_inclusion`, and `ROOT_MISMATCH`.
    """
    check_hash(hash_function, root, "root")
    if root_from_inclusion(hash_function, leaf_hash, index, size, proof) != root:
        raise ProofError("ROOT_MISMATCH", f"the proof does not lead from leaf {index} to the root of {size} leaves")


def verify_consistency(
    hash_function: HashFunction,
    first: int,
    first_root: bytes,
    second: int,
    second_root: bytes,
    proof: Sequence[bytes],
) -> None:
    """Return if `proof` shows that the tree of `second` leaves extends that of `first` (RFC 9162 §2.1.4.2).

    Raises `ProofError`: `EMPTY_TREE` for `first` = 0, `SIZE_OUT_OF_RANGE`, `PROOF_TOO_SHORT`, `PROOF_TOO_LONG`,
    `BAD_HASH_LENGTH`, and `ROOT_MISMATCH` for either root.
    """
    check_sizes(first, second)
    check_hash(hash_function, first_root, "first root")
    check_hash(hash_function, second_root, "second root")
    if first == second:
        _check_proof(hash_function, proof, 0)
        if first_root != second_root:
            raise ProofError("ROOT_MISMATCH", f"two roots for the same {first} leaves")
        return
    # Follow the last leaf of the first tree. Below `shift` both trees share one perfect subtree, the seed; it is the
    # whole first tree when `first` is a power of two, and then the proof leaves it out.
    shift = (first & -first).bit_length() - 1
    inner, border = _shape(first - 1, second)
    inner -= shift
    seed_is_first_tree = first == 1 << shift
    _check_proof(hash_function, proof, inner + border + (not seed_is_first_tree))
    seed, path = (first_root, proof) if seed_is_first_tree else (proof[0], proof[1:])
    position = (first - 1) >> shift
    lower, upper = path[:inner], path[inner:]
    left_only = [sibling for level, sibling in enumerate(lower) if position >> level & 1]
    if _hang_left(hash_function, _hang_left(hash_function, seed, left_only), upper) != first_root:
        raise ProofError("ROOT_MISMATCH", f"the proof does not lead to the root of the first {first} leaves")
    if _hang_left(hash_function, _climb(hash_function, seed, position, lower), upper) != second_root:
        raise ProofError("ROOT_MISMATCH", f"the proof does not lead to the root of {second} leaves")


def _climb(hash_function: HashFunction, current: bytes, position: int, siblings: Sequence[bytes]) -> bytes:
    """Combine upwards; bit i of `position` says that the node at level i is a right child."""
    for level, sibling in enumerate(siblings):
        is_right = position >> level & 1
        current = hash_function.node(sibling, current) if is_right else hash_function.node(current, sibling)
    return current


def _hang_left(hash_function: HashFunction, current: bytes, siblings: Sequence[bytes]) -> bytes:
    """Combine upwards with siblings that all are on the left."""
    for sibling in siblings:
        current = hash_function.node(sibling, current)
    return current
