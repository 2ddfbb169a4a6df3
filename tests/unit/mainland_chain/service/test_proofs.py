from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))

from store_blocks import CHAIN, Chain, certified

from lianqiao_base.errors import NotFound, PreconditionFailed, Rejected
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.proof import verify_consistency, verify_inclusion
from mainland_chain.service.proofs import claim_proof, log_consistency, result_proof
from mainland_chain.state.block import BlockCommit, decode_header
from mainland_chain.store import SqlLedgerStore


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[SqlLedgerStore, list[BlockCommit]]]:
    """Five blocks of three claims; the last one is not certified."""
    store = SqlLedgerStore.open_file(tmp_path / "ledger.sqlite3", CHAIN)
    chain = Chain()
    blocks = [chain.block(claims=3) for _ in range(5)]
    for block in blocks:
        store.commit(block)
    for block in blocks[:-1]:
        store.save_certificate(certified(block))
    yield store, blocks
    store.close()


Filled = tuple[SqlLedgerStore, list[BlockCommit]]


def test_claims_are_proved_under_every_certified_size(filled: Filled) -> None:
    store, blocks = filled
    for block in blocks[:-1]:
        size = block.header.export_log_size
        for index in range(size):
            proof = claim_proof(store, index, size)
            assert (proof.index, proof.size, proof.root) == (index, size, block.header.export_log_root)
            verify_inclusion(KECCAK, KECCAK.leaf(proof.leaf_data), index, size, proof.path, proof.root)
            stored = store.claim(index)
            assert stored is not None and proof.leaf_data == stored.claim


def test_size_zero_means_the_newest_certified_log(filled: Filled) -> None:
    store, blocks = filled
    assert claim_proof(store, 0, 0).size == blocks[3].header.export_log_size == 12
    assert log_consistency(store, 5, 0).second == 12


@pytest.mark.parametrize("size", [13, 15, 16, 2**63])
def test_nothing_is_proved_about_what_is_not_certified(filled: Filled, size: int) -> None:
    store, _ = filled
    for prove in (lambda: claim_proof(store, 0, size), lambda: log_consistency(store, 1, size)):
        with pytest.raises(PreconditionFailed) as caught:
            prove()
        assert caught.value.code == "NOT_CERTIFIED"


@pytest.mark.parametrize(("index", "size"), [(12, 0), (14, 0), (3, 3), (2**63, 0)])
def test_a_claim_outside_the_log_is_not_found(filled: Filled, index: int, size: int) -> None:
    with pytest.raises(NotFound) as caught:
        claim_proof(filled[0], index, size)
    assert caught.value.code == "CLAIM_NOT_FOUND"


def test_consistency_between_all_sizes(filled: Filled) -> None:
    store, _ = filled
    for second in range(1, 13):
        for first in range(1, second + 1):
            proof = log_consistency(store, first, second)
            verify_consistency(KECCAK, first, proof.first_root, second, proof.second_root, proof.path)
            assert proof.second_root == claim_proof(store, 0, second).root


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3)])
def test_senseless_sizes_are_rejected(filled: Filled, first: int, second: int) -> None:
    with pytest.raises(Rejected):
        log_consistency(filled[0], first, second)


def test_results_are_proved_in_their_block(filled: Filled) -> None:
    store, blocks = filled
    for block in blocks[:-1]:
        for i, result in enumerate(block.results):
            proof = result_proof(store, result.tx_hash)
            assert decode_header(proof.header) == block.header
            assert (proof.index, proof.size, proof.root) == (i, 3, block.header.results_root)
            verify_inclusion(SM3, SM3.leaf(proof.leaf_data), i, 3, proof.path, proof.root)
    with pytest.raises(PreconditionFailed) as early:
        result_proof(store, blocks[-1].results[0].tx_hash)
    assert early.value.code == "NOT_CERTIFIED"
    with pytest.raises(NotFound):
        result_proof(store, bytes(32))


def test_an_empty_ledger_proves_nothing(tmp_path: Path) -> None:
    store = SqlLedgerStore.open_file(tmp_path / "empty.sqlite3", CHAIN)
    for prove in (lambda: claim_proof(store, 0, 0), lambda: log_consistency(store, 1, 0)):
        with pytest.raises(PreconditionFailed) as caught:
            prove()
        assert caught.value.code == "NOTHING_CERTIFIED"
    store.close()
