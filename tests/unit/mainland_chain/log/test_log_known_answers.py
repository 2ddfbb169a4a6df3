"""Merkle trees against published answers, and every refusal of the verifiers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.log import proof as proofs
from mainland_chain.log import tree
from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import KECCAK, SM3, HashFunction

SHA256 = HashFunction("SHA-256", lambda data: hashlib.sha256(data).digest())

# The reference tree of Certificate Transparency: leaves, roots of sizes 1 to 8, audit paths and consistency proofs as in
# the tests of google/certificate-transparency (merkle_tree_test), the published companion of RFC 6962.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
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
H01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
H1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
H23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
H45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
H47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
H67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
INCLUSION = {  # (index, size): path
    (0, 1): [],
    (0, 8): [H1, H23, H47],
    (5, 8): [H4, H67, H03],
    (2, 3): [H01],
    (1, 5): [ROOTS[1], H23, H4],
}
CONSISTENCY = {  # (first, second): proof
    (1, 1): [],
    (1, 8): [H1, H23, H47],
    (6, 8): [H45, H67, H03],
    (2, 5): [H23, H4],
}


class Nodes(dict[tuple[int, int], bytes]):
    """Stored nodes that count their reads and refuse to be written twice."""

    reads = 0

    def get(self, level: int, index: int) -> bytes:  # type: ignore[override]
        self.reads += 1
        return self[level, index]

    def put(self, nodes: tuple[tree.Node, ...]) -> None:
        for node in nodes:
            assert (node.level, node.index) not in self
            self[node.level, node.index] = node.hash


def _stored(hash_function: HashFunction, count: int) -> tuple[Nodes, list[bytes]]:
    leaves = [hash_function.leaf(LEAVES[i] if i < len(LEAVES) else i.to_bytes(4, "big")) for i in range(count)]
    _, finished = tree.CompactRange(hash_function).extend(leaves)
    nodes = Nodes()
    nodes.put(finished)
    return nodes, leaves


def _hex(values: tuple[bytes, ...]) -> list[str]:
    return [value.hex() for value in values]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    nodes, leaves = _stored(SHA256, 8)
    assert tree.merkle_root(SHA256, leaves[:size]).hex() == ROOTS[size]
    assert tree.root(nodes, SHA256, size).hex() == ROOTS[size]
    assert tree.CompactRange.load(nodes, SHA256, size).root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_audit_paths(index: int, size: int) -> None:
    nodes, leaves = _stored(SHA256, 8)
    expected = INCLUSION[index, size]
    assert _hex(tree.inclusion_proof(nodes, SHA256, index, size)) == expected
    assert _hex(tree.merkle_path(SHA256, leaves[:size], index)) == expected
    path = [bytes.fromhex(text) for text in expected]
    proofs.verify_inclusion(SHA256, leaves[index], index, size, path, bytes.fromhex(ROOTS[size]))
    assert proofs.inclusion_proof_length(index, size) == len(expected)


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_published_consistency_proofs(first: int, second: int) -> None:
    nodes, _ = _stored(SHA256, 8)
    expected = CONSISTENCY[first, second]
    assert _hex(tree.consistency_proof(nodes, SHA256, first, second)) == expected
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    path = [bytes.fromhex(text) for text in expected]
    proofs.verify_consistency(SHA256, first, roots[0], second, roots[1], path)


def test_the_hash_functions_are_those_of_the_protocol() -> None:
    assert SM3.leaf(b"x") == sm3(b"\x00x")
    assert SM3.node(b"l" * 32, b"r" * 32) == sm3(b"\x01" + b"l" * 32 + b"r" * 32)
    assert KECCAK.leaf(b"x") == keccak256(b"\x00x")
    assert (SM3.empty_root, KECCAK.empty_root) == (sm3(b""), keccak256(b""))


VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "merkle" / "proofs.json").read_text())


@pytest.mark.parametrize("name", ["SM3", "KECCAK-256"])
def test_vector_file(name: str) -> None:
    """The file that other implementations, such as the contracts, are tested with."""
    hash_function = {"SM3": SM3, "KECCAK-256": KECCAK}[name]
    data = VECTORS[name]
    leaves = [hash_function.leaf(bytes.fromhex(text)) for text in data["leaf_data"]]
    assert _hex(tuple(leaves)) == data["leaf_hashes"]
    roots = [bytes.fromhex(text) for text in data["roots"]]
    assert [tree.merkle_root(hash_function, leaves[:size]) for size in range(len(leaves) + 1)] == roots
    for case in data["inclusion"]:
        path, index, size = [bytes.fromhex(t) for t in case["proof"]], case["index"], case["size"]
        assert _hex(tree.merkle_path(hash_function, leaves[:size], index)) == case["proof"]
        proofs.verify_inclusion(hash_function, leaves[index], index, size, path, roots[size])
    for case in data["consistency"]:
        path, first, second = [bytes.fromhex(t) for t in case["proof"]], case["first"], case["second"]
        proofs.verify_consistency(hash_function, first, roots[first], second, roots[second], path)


@pytest.mark.parametrize(("size", "most"), [(1 << 10, 10), ((1 << 10) - 1, 18), (1000, 18), (3, 2)])
def test_proofs_read_a_logarithmic_number_of_nodes(size: int, most: int) -> None:
    nodes, _ = _stored(SM3, size)
    for index in range(0, size, 7):
        nodes.reads = 0
        tree.inclusion_proof(nodes, SM3, index, size)
        assert nodes.reads <= most
        nodes.reads = 0
        tree.consistency_proof(nodes, SM3, index + 1, size)
        assert nodes.reads <= 2 * most
    nodes.reads = 0
    tree.root(nodes, SM3, size)
    assert nodes.reads <= most


def test_appends_hash_a_constant_number_of_times_on_average() -> None:
    calls = 0

    def digest(data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.sha256(data).digest()

    frontier = tree.CompactRange(HashFunction("counting", digest))
    for i in range(1024):
        frontier, _ = frontier.append(i.to_bytes(32, "big"))
    assert calls == 1023


def _code(action: Callable[[], object]) -> str:
    with pytest.raises(ProofError) as caught:
        action()
    assert isinstance(caught.value, Rejected)
    return caught.value.code


NODES, HASHES = _stored(SM3, 13)
ROOT = {size: tree.root(NODES, SM3, size) for size in range(14)}
PATH = tree.inclusion_proof(NODES, SM3, 5, 13)
STEP = tree.consistency_proof(NODES, SM3, 5, 13)
H = bytes(32)


@pytest.mark.parametrize(
    ("index", "size", "code"),
    [
        (13, 13, "INDEX_OUT_OF_RANGE"),
        (14, 13, "INDEX_OUT_OF_RANGE"),
        (-1, 13, "INDEX_OUT_OF_RANGE"),
        (0, 0, "EMPTY_TREE"),
        (0, -1, "SIZE_OUT_OF_RANGE"),
        (0, 2**64, "SIZE_OUT_OF_RANGE"),
    ],
)
def test_inclusion_of_what_cannot_be(index: int, size: int, code: str) -> None:
    assert _code(lambda: proofs.verify_inclusion(SM3, HASHES[5], index, size, PATH, ROOT[13])) == code
    assert _code(lambda: proofs.inclusion_proof_length(index, size)) == code
    wanted = "INDEX_OUT_OF_RANGE" if code == "EMPTY_TREE" else code
    assert _code(lambda: tree.inclusion_proof(NODES, SM3, index, size)) == wanted


def test_one_shot_paths_check_the_index() -> None:
    for index in (-1, 13):
        assert _code(lambda index=index: tree.merkle_path(SM3, HASHES, index)) == "INDEX_OUT_OF_RANGE"
    assert _code(lambda: tree.merkle_path(SM3, [], 0)) == "INDEX_OUT_OF_RANGE"


def test_inclusion_proof_lengths_are_exact() -> None:
    def verify(path: tuple[bytes, ...]) -> Callable[[], None]:
        return lambda: proofs.verify_inclusion(SM3, HASHES[5], 5, 13, path, ROOT[13])

    verify(PATH)()
    assert _code(verify(PATH[:-1])) == "PROOF_TOO_SHORT"
    assert _code(verify(PATH[1:])) == "PROOF_TOO_SHORT"
    assert _code(verify(())) == "PROOF_TOO_SHORT"
    assert _code(verify((*PATH, H))) == "PROOF_TOO_LONG"
    assert _code(verify((*PATH[:-1], PATH[-1][:-1]))) == "BAD_HASH_LENGTH"
    assert _code(verify((*PATH[:-1], PATH[-1] + b"\0"))) == "BAD_HASH_LENGTH"


def test_inclusion_hash_lengths_are_exact() -> None:
    for value in (b"", H[:-1], H + b"\0"):
        assert _code(lambda v=value: proofs.verify_inclusion(SM3, v, 5, 13, PATH, ROOT[13])) == "BAD_HASH_LENGTH"
        assert _code(lambda v=value: proofs.verify_inclusion(SM3, HASHES[5], 5, 13, PATH, v)) == "BAD_HASH_LENGTH"


def test_a_node_is_not_a_leaf_and_a_tree_is_not_its_hash_function() -> None:
    inner = NODES[1, 2]
    path = tree.merkle_path(SM3, [NODES[1, i] for i in range(6)], 2)
    assert proofs.root_from_inclusion(SM3, inner, 2, 6, path) == tree.merkle_root(SM3, [NODES[1, i] for i in range(6)])
    assert SM3.leaf(HASHES[4] + HASHES[5]) != inner
    assert _code(lambda: proofs.verify_inclusion(KECCAK, HASHES[5], 5, 13, PATH, ROOT[13])) == "ROOT_MISMATCH"


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (0, 13, "EMPTY_TREE"),
        (0, 0, "EMPTY_TREE"),
        (14, 13, "SIZE_OUT_OF_RANGE"),
        (-1, 13, "SIZE_OUT_OF_RANGE"),
        (5, 2**64, "SIZE_OUT_OF_RANGE"),
    ],
)
def test_consistency_of_what_cannot_be(first: int, second: int, code: str) -> None:
    assert _code(lambda: proofs.verify_consistency(SM3, first, ROOT[5], second, ROOT[13], STEP)) == code
    assert _code(lambda: tree.consistency_proof(NODES, SM3, first, second)) == code


def test_consistency_proof_lengths_are_exact() -> None:
    def verify(path: tuple[bytes, ...], first: int = 5) -> Callable[[], None]:
        return lambda: proofs.verify_consistency(SM3, first, ROOT[first], 13, ROOT[13], path)

    verify(STEP)()
    assert _code(verify(STEP[:-1])) == "PROOF_TOO_SHORT"
    assert _code(verify(STEP[1:])) == "PROOF_TOO_SHORT"
    assert _code(verify(())) == "PROOF_TOO_SHORT"
    assert _code(verify((*STEP, H))) == "PROOF_TOO_LONG"
    assert _code(verify((*STEP[:-1], H[:-1]))) == "BAD_HASH_LENGTH"
    whole = tree.consistency_proof(NODES, SM3, 8, 13)
    verify(whole, 8)()
    assert _code(verify((ROOT[8], *whole), 8)) == "PROOF_TOO_LONG"
    assert _code(verify((H,), 13)) == "PROOF_TOO_LONG"


def test_consistency_roots_are_checked_both() -> None:
    def verify(first: int, first_root: bytes, second: int, second_root: bytes, path: tuple[bytes, ...]) -> str:
        return _code(lambda: proofs.verify_consistency(SM3, first, first_root, second, second_root, path))

    for first in (1, 4, 5, 8, 12):
        path = tree.consistency_proof(NODES, SM3, first, 13)
        proofs.verify_consistency(SM3, first, ROOT[first], 13, ROOT[13], path)
        assert verify(first, H, 13, ROOT[13], path) == "ROOT_MISMATCH"
        assert verify(first, ROOT[first], 13, H, path) == "ROOT_MISMATCH"
    assert verify(13, ROOT[13], 13, H, ()) == "ROOT_MISMATCH"
    assert verify(13, H, 13, ROOT[13], ()) == "ROOT_MISMATCH"
    for value in (b"", H[:-1], H + b"\0"):
        assert verify(5, value, 13, ROOT[13], STEP) == "BAD_HASH_LENGTH"
        assert verify(5, ROOT[5], 13, value, STEP) == "BAD_HASH_LENGTH"
        assert verify(13, value, 13, value, ()) == "BAD_HASH_LENGTH"


def test_frontiers_that_cannot_be() -> None:
    assert _code(lambda: tree.CompactRange(SM3, 3, (H,))) == "BAD_FRONTIER"
    assert _code(lambda: tree.CompactRange(SM3, 4, (H, H))) == "BAD_FRONTIER"
    assert _code(lambda: tree.CompactRange(SM3, 1, (H[:-1],))) == "BAD_HASH_LENGTH"
    assert _code(lambda: tree.CompactRange(SM3, -1)) == "SIZE_OUT_OF_RANGE"
    assert _code(lambda: tree.CompactRange(SM3, 2**64, (H,))) == "SIZE_OUT_OF_RANGE"
    full = tree.CompactRange(SM3, 2**64 - 1, (H,) * 64)
    assert _code(lambda: full.append(H)) == "SIZE_OUT_OF_RANGE"
    for size in (0, 1):
        frontier = tree.CompactRange(SM3, size, (H,) * size)
        assert _code(lambda f=frontier: f.append(b"leaf data, not its hash")) == "BAD_HASH_LENGTH"
    for bad in (-1, 2**64):
        assert _code(lambda bad=bad: tree.root(NODES, SM3, bad)) == "SIZE_OUT_OF_RANGE"
        assert _code(lambda bad=bad: tree.CompactRange.load(NODES, SM3, bad)) == "SIZE_OUT_OF_RANGE"


def test_appending_leaves_the_old_frontier_as_it_was() -> None:
    before = tree.CompactRange(SM3)
    first, _ = before.append(HASHES[0])
    second, nodes = first.append(HASHES[1])
    assert (before.size, first.size, second.size) == (0, 1, 2)
    assert first.root() == HASHES[0]
    assert [(n.level, n.index) for n in nodes] == [(0, 1), (1, 0)]


def test_missing_nodes_are_the_readers_error() -> None:
    with pytest.raises(KeyError):
        tree.root(Nodes(), SM3, 1)


def test_trees_of_the_largest_sizes_have_proofs() -> None:
    """Sizes near 2^64 need no more than 64 steps: a sparse store of equal subtrees stands for all leaves."""

    class Uniform:
        def __init__(self) -> None:
            self.levels = [SM3.leaf(b"same")]
            while len(self.levels) < 64:
                self.levels.append(SM3.node(self.levels[-1], self.levels[-1]))

        def get(self, level: int, index: int) -> bytes:
            return self.levels[level]

    nodes, size = Uniform(), 2**64 - 1
    root = tree.root(nodes, SM3, size)
    for index in (0, 1, 2**63 - 1, 2**63, size - 1):
        path = tree.inclusion_proof(nodes, SM3, index, size)
        proofs.verify_inclusion(SM3, nodes.levels[0], index, size, path, root)
        step = tree.consistency_proof(nodes, SM3, index + 1, size)
        proofs.verify_consistency(SM3, index + 1, tree.root(nodes, SM3, index + 1), size, root, step)
