"""Append-only Merkle trees (RFC 6962 §2.1, RFC 9162 §2.1) over stored hashes of perfect subtrees.

A node `(level, index)` covers the leaves `index * 2^level` to `(index + 1) * 2^level - 1`; level 0 holds the
leaf hashes. Only perfect subtrees are stored: they never change, so one set of nodes serves proofs at every past
size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import NODE_PREFIX, HashFunction

MAX_SIZE = 2**64 - 1


class NodeReader(Protocol):
    """Read access to the stored nodes of one tree."""

    def get(self, level: int, index: int) -> bytes:
        """Hash of the perfect subtree `(level, index)`. Its errors, such as for a node never stored, pass through."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """A finished perfect subtree, to be stored once and never changed."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The frontier of a tree: its size and the roots of the perfect subtrees that tile it, largest first.

    That is all an append needs. Immutable: appending gives a new frontier, so a rejected block costs nothing to forget.
    Raises `ProofError` (`SIZE_OUT_OF_RANGE`, `BAD_FRONTIER`, `BAD_HASH_LENGTH`) for hashes that cannot be a frontier.
    """

    hash_function: HashFunction
    size: int = 0
    """Number of leaves."""
    hashes: tuple[bytes, ...] = ()
    """One per set bit of `size`, from the highest bit down."""

    def __post_init__(self) -> None:
        check_size(self.size)
        if len(self.hashes) != self.size.bit_count():
            raise ProofError(
                "BAD_FRONTIER",
                f"a tree of {self.size} leaves has {self.size.bit_count()} frontier hashes, not {len(self.hashes)}",
            )
        for value in self.hashes:
            check_hash(self.hash_function, value, "frontier hash")

    @classmethod
    def load(cls, reader: NodeReader, hash_function: HashFunction, size: int) -> CompactRange:
        """The frontier of the first `size` leaves, from at most 64 stored nodes."""
        check_size(size)
        return cls(hash_function, size, tuple(_tiles(reader, 0, size)))

    def append(self, leaf_hash: bytes) -> tuple[CompactRange, tuple[Node, ...]]:
        """The frontier with one more leaf, and the nodes this finishes: the leaf first, then rising levels."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> tuple[CompactRange, tuple[Node, ...]]:
        """The frontier with `leaf_hashes` appended in order, and all nodes this finishes, in order.

        Raises `ProofError` (`BAD_HASH_LENGTH`; `SIZE_OUT_OF_RANGE` beyond 2^64 - 1 leaves).
        """
        combine = self.hash_function.node
        hashes, size = list(self.hashes), self.size
        nodes: list[Node] = []
        for leaf_hash in leaf_hashes:
            check_hash(self.hash_function, leaf_hash, "leaf hash")
            level, index, current = 0, size, leaf_hash
            nodes.append(Node(0, index, current))
            while index & 1:  # a right child: its left sibling is the smallest tile
                current = combine(hashes.pop(), current)
                level, index = level + 1, index >> 1
                nodes.append(Node(level, index, current))
            hashes.append(current)
            size += 1
        return CompactRange(self.hash_function, size, tuple(hashes)), tuple(nodes)

    def root(self) -> bytes:
        """Root of the whole tree; the hash of the empty string when there is no leaf."""
        return _fold(self.hash_function, self.hashes)


def check_size(size: int) -> None:
    """Raises `ProofError` (`SIZE_OUT_OF_RANGE`) unless 0 <= size <= 2^64 - 1."""
    if not 0 <= size <= MAX_SIZE:
        raise ProofError("SIZE_OUT_OF_RANGE", f"a tree size is 0 to 2^64 - 1, not {size}")


def check_hash(hash_function: HashFunction, value: bytes, what: str) -> None:
    """Raises `ProofError` (`BAD_HASH_LENGTH`) unless `value` is as long as a digest of `hash_function`."""
    if len(value) != hash_function.size:
        raise ProofError("BAD_HASH_LENGTH", f"{what} must be {hash_function.size} bytes, not {len(value)}")


def _tiles(reader: NodeReader, begin: int, end: int) -> Iterator[bytes]:
    """Roots of the perfect subtrees that tile [begin, end), largest first; `begin` is aligned to the first of them."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield reader.get(level, begin >> level)
        begin += 1 << level


def _fold(hash_function: HashFunction, tiles: Sequence[bytes]) -> bytes:
    """Root over tiles, largest first: the smaller ones hang together on the right (RFC 6962 §2.1)."""
    if not tiles:
        return hash_function.empty_root
    current = tiles[-1]
    for tile in reversed(tiles[:-1]):
        current = hash_function.node(tile, current)
    return current


def _range_root(reader: NodeReader, hash_function: HashFunction, begin: int, end: int) -> bytes:
    return _fold(hash_function, tuple(_tiles(reader, begin, end)))


def _split(begin: int, end: int) -> int:
    """Where [begin, end) divides: after the largest power of two below its width."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def root(reader: NodeReader, hash_function: HashFunction, size: int) -> bytes:
    """Root of the first `size` leaves, from O(log size) stored nodes. Raises `ProofError` (`SIZE_OUT_OF_RANGE`)."""
    check_size(size)
    return _range_root(reader, hash_function, 0, size)


def inclusion_proof(reader: NodeReader, hash_function: HashFunction, index: int, size: int) -> tuple[bytes, ...]:
    """Siblings from leaf `index` up to the root of the first `size` leaves (RFC 9162 §2.1.3.1).

    At most one sibling is not a perfect subtree, so this reads O(log size) nodes. Raises `ProofError`
    (`SIZE_OUT_OF_RANGE`, `INDEX_OUT_OF_RANGE`).
    """
    check_size(size)
    check_index(index, size)
    siblings: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            siblings.append(_range_root(reader, hash_function, middle, end))
            end = middle
        else:
            siblings.append(_range_root(reader, hash_function, begin, middle))
            begin = middle
    return tuple(reversed(siblings))


def check_index(index: int, size: int) -> None:
    """Raises `ProofError` (`INDEX_OUT_OF_RANGE`) unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ProofError("INDEX_OUT_OF_RANGE", f"leaf {index} is not in a tree of {size}")


def check_sizes(first: int, second: int) -> None:
    """Raises `ProofError` unless 1 <= first <= second <= 2^64 - 1 (`EMPTY_TREE`, `SIZE_OUT_OF_RANGE`)."""
    check_size(first)
    check_size(second)
    if first == 0:
        raise ProofError("EMPTY_TREE", "every log is consistent with the empty one: that proves nothing")
    if first > second:
        raise ProofError("SIZE_OUT_OF_RANGE", f"the first size {first} exceeds the second {second}")


def consistency_proof(reader: NodeReader, hash_function: HashFunction, first: int, second: int) -> tuple[bytes, ...]:
    """Proof that the first `first` leaves of the tree of `second` are the tree of `first` (RFC 9162 §2.1.4.1).

    Empty when the sizes are equal; O(log second) reads. Raises `ProofError` (`EMPTY_TREE` for `first` = 0,
    `SIZE_OUT_OF_RANGE`).
    """
    check_sizes(first, second)
    hashes: list[bytes] = []
    begin, end = 0, second
    while end != first:
        middle = _split(begin, end)
        if first <= middle:
            hashes.append(_range_root(reader, hash_function, middle, end))
            end = middle
        else:
            hashes.append(_range_root(reader, hash_function, begin, middle))
            begin = middle
    if begin:  # else what remains is the whole first tree, whose root the verifier has
        hashes.append(_range_root(reader, hash_function, begin, end))
    return tuple(reversed(hashes))


def _level_above(digest: Callable[[bytes], bytes], level: Sequence[bytes]) -> list[bytes]:
    # Pairing level by level and carrying an odd last one up unchanged gives the tree of RFC 6962's recursive split.
    pairs = iter(level)
    above = [digest(NODE_PREFIX + left + right) for left, right in zip(pairs, pairs, strict=False)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def merkle_root(hash_function: HashFunction, leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes all at hand, in order; `H("")` for none (RFC 6962 §2.1). The hot path of blocks.

    Every leaf hash must have the digest's length; they come from `HashFunction.leaf`, so this does not look again.
    """
    if not leaf_hashes:
        return hash_function.empty_root
    digest = hash_function.digest
    level = leaf_hashes
    while len(level) > 1:
        level = _level_above(digest, level)
    return level[0]


def merkle_path(hash_function: HashFunction, leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Inclusion proof of leaf `index`, leaf to root, over leaf hashes all at hand; the same as `inclusion_proof`.

    Raises `ProofError` (`INDEX_OUT_OF_RANGE`).
    """
    check_index(index, len(leaf_hashes))
    digest = hash_function.digest
    siblings: list[bytes] = []
    level = leaf_hashes
    while len(level) > 1:
        if index ^ 1 < len(level):  # an odd last node has no sibling at this level
            siblings.append(level[index ^ 1])
        level = _level_above(digest, level)
        index >>= 1
    return tuple(siblings)
