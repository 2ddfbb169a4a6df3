"""Merkle-Patricia proofs of transactions and receipts (Ethereum Yellow Paper, appendix D): made with py-trie, checked here.

The check is strict: the proof holds exactly the nodes on the path, root first, each one hashed into the one before. What
is not on the path cannot ride along unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from rlp.exceptions import RLPException  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from lianqiao_base.errors import Rejected

HASH_BYTES = 32
Node = list["bytes | Node"]


def root_of(values: Sequence[bytes]) -> bytes:
    """Root of the trie that maps `rlp(index)` to each value."""
    return _trie(values).root_hash


def prove(values: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Encoded nodes from the root to the value at `index`."""
    nodes = _trie(values).get_proof(rlp.encode(index))  # type: ignore[no-untyped-call]
    # Nodes shorter than a hash are part of their parent.
    encoded = [rlp.encode(node) for node in nodes if node != b""]
    return tuple(node for i, node in enumerate(encoded) if i == 0 or len(node) >= HASH_BYTES)


def verify(root: bytes, index: int, value: bytes, proof: Sequence[bytes]) -> None:
    """Return if `proof` shows `value` at `index` under `root`. Raises `Rejected("BAD_TRIE_PROOF")`."""
    remaining = list(proof)
    node: bytes | Node = root
    path = [nibble for byte in rlp.encode(index) for nibble in (byte >> 4, byte & 15)]
    while True:
        if isinstance(node, bytes):
            node = _open(node, remaining)
        if len(node) == 17:
            if not path:
                found: bytes | Node = node[16]
                break
            node = node[path.pop(0)]
        elif len(node) == 2 and isinstance(node[0], bytes):
            nibbles, leaf = _compact(node[0])
            if path[: len(nibbles)] != nibbles:
                raise _bad("the path leads elsewhere")
            path = path[len(nibbles) :]
            node = node[1]
            if leaf:
                if path:
                    raise _bad("the path ends early")
                found = node
                break
        else:
            raise _bad("not a trie node")
    if remaining:
        raise _bad("nodes that are not on the path")
    if found != value:
        raise _bad("another value is at this index")


def _open(reference: bytes, remaining: list[bytes]) -> Node:
    if not remaining:
        raise _bad("a node is missing")
    encoded = remaining.pop(0)
    if keccak(encoded) != reference:
        raise _bad("a node is not the one its parent names")
    try:
        node = rlp.decode(encoded)
    except (RLPException, RecursionError) as error:
        raise _bad("a node is not RLP") from error
    if not isinstance(node, list):
        raise _bad("not a trie node")
    return cast("Node", node)


def _compact(encoded: bytes) -> tuple[list[int], bool]:
    """Nibbles of a compact (hex-prefix) path, and whether it ends in a leaf."""
    nibbles = [nibble for byte in encoded for nibble in (byte >> 4, byte & 15)]
    if not nibbles or nibbles[0] > 3:
        raise _bad("not a path")
    odd, leaf = nibbles[0] & 1, bool(nibbles[0] & 2)
    return nibbles[1 if odd else 2 :], leaf


def _trie(values: Sequence[bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return trie


def _bad(message: str) -> Rejected:
    return Rejected("BAD_TRIE_PROOF", message)
