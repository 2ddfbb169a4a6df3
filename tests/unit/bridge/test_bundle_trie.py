"""Trie proofs whose every hash is right and which are no proofs all the same."""

from __future__ import annotations

from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from bridge.bundle import trie
from lianqiao_base.errors import Rejected

VALUE = b"value of the only entry, longer than a hash is"
# Index 0 has the key 0x80: nibbles 8 and 0. An even leaf path begins with 0x20, an odd one with 0x3.
WHOLE_PATH = b"\x20\x80"


def nested(depth: int) -> bytes:
    data = b"\x80"
    for _ in range(depth):
        size = len(data)
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        data = (bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + len(length)]) + length) + data
    return data


def check(*nodes: Any) -> None:
    """Verify a proof of these nodes, root first, for index 0."""
    encoded = [node if isinstance(node, bytes) else rlp.encode(node) for node in nodes]
    trie.verify(keccak(encoded[0]), 0, VALUE, encoded)


def test_a_leaf_is_proven() -> None:
    check([WHOLE_PATH, VALUE])
    inner = rlp.encode([b"\x30", VALUE])
    branch = [b""] * 17
    branch[8] = keccak(inner)
    check(branch, inner)


@pytest.mark.parametrize(
    "node",
    [
        [b"\x20", VALUE],
        [b"\x38", VALUE],
        [b"\x20\x81", VALUE],
        [b"\x20\x80\x00", VALUE],
        [WHOLE_PATH, VALUE, b"third"],
        [WHOLE_PATH],
        [[WHOLE_PATH], VALUE],
        [b"", VALUE],
        [b"\x60\x80", VALUE],
        [b"\xa0\x80", VALUE],
        rlp.encode(b"seventeen bytes!!"),
        rlp.encode(b"no list"),
        b"",
        b"\xff\xff",
        b"\xc1",
        nested(3000),
    ],
    ids=range(16),
)
def test_what_is_no_leaf_of_this_path(node: Any) -> None:
    with pytest.raises(Rejected) as caught:
        check(node)
    assert caught.value.code == "BAD_TRIE_PROOF"


def test_a_branch_that_ends_elsewhere() -> None:
    for branch in ([b""] * 16 + [VALUE], [b""] * 17):
        with pytest.raises(Rejected):
            check(branch)


def test_no_nodes_and_nodes_beside_the_path() -> None:
    leaf = rlp.encode([WHOLE_PATH, VALUE])
    trie.verify(keccak(leaf), 0, VALUE, [leaf])
    for proof in ([], [leaf, leaf], [leaf, b""], [leaf] * 100):
        with pytest.raises(Rejected):
            trie.verify(keccak(leaf), 0, VALUE, proof)
    with pytest.raises(Rejected):
        trie.verify(bytes(32), 0, VALUE, [leaf])
    with pytest.raises(Rejected):
        trie.verify(keccak(leaf), 0, VALUE[:-1], [leaf])
