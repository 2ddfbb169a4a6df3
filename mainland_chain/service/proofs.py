"""Proofs from what is stored, only ever about what is certified: a proof nobody signed for proves nothing."""

from __future__ import annotations

from lianqiao_base.errors import NotFound, PreconditionFailed
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.tree import consistency_proof, inclusion_proof, merkle_path, merkle_root, root
from mainland_chain.service.types import ConsistencyProof, InclusionProof
from mainland_chain.state.block import LedgerStore
from mainland_chain.store.codec import corrupt


class _Nodes:
    def __init__(self, store: LedgerStore) -> None:
        self.get = store.log_node


def certified_log_size(store: LedgerStore, wanted: int) -> int:
    """`wanted`, or the newest certified size for 0. Raises `PreconditionFailed`."""
    newest = store.certified()
    if newest is None:
        raise PreconditionFailed("NOTHING_CERTIFIED", "no block is certified yet", hint="wait for the first checkpoint")
    size = newest.checkpoint.log_size
    if wanted > size:
        raise PreconditionFailed(
            "NOT_CERTIFIED", f"the newest certified log has {size} claims, not {wanted}", hint="wait for a checkpoint"
        )
    return wanted or size


def claim_proof(store: LedgerStore, index: int, log_size: int) -> InclusionProof:
    """Claim `index` is in the export log of `log_size` claims (0: the newest certified one).

    Raises `NotFound("CLAIM_NOT_FOUND")` and `PreconditionFailed`.
    """
    size = certified_log_size(store, log_size)
    if index >= size:
        raise NotFound("CLAIM_NOT_FOUND", f"the log of {size} claims has no claim {index}", subject=f"claim {index}")
    claim = store.claim(index)
    if claim is None:
        raise corrupt("a claim of the export log is missing", f"claim {index}")
    nodes = _Nodes(store)
    path = inclusion_proof(nodes, KECCAK, index, size)
    return InclusionProof(index, size, claim.claim, path, root(nodes, KECCAK, size))


def result_proof(store: LedgerStore, tx_hash: bytes) -> InclusionProof:
    """The transaction's result is in its block. Raises `NotFound("TRANSACTION_NOT_FOUND")` and
    `PreconditionFailed`."""
    found = store.transaction(tx_hash)
    if found is None:
        raise NotFound("TRANSACTION_NOT_FOUND", "no block has this transaction", subject=tx_hash.hex())
    newest = store.certified()
    if newest is None or newest.checkpoint.height < found.height:
        raise PreconditionFailed(
            "NOT_CERTIFIED", f"block {found.height} is not certified yet", hint="wait for its checkpoint"
        )
    header = store.header_at(found.height)
    if header is None:
        raise corrupt("the header of a transaction's block is missing", f"height {found.height}")
    leaves = store.result_leaves(found.height)
    hashes = [SM3.leaf(leaf) for leaf in leaves]
    return InclusionProof(
        index=found.index,
        size=len(leaves),
        leaf_data=leaves[found.index],
        path=merkle_path(SM3, hashes, found.index),
        root=merkle_root(SM3, hashes),
        header=header.encode(),
    )


def log_consistency(store: LedgerStore, first: int, second: int) -> ConsistencyProof:
    """Raises `PreconditionFailed`, and `Rejected` (`EMPTY_TREE`, `SIZE_OUT_OF_RANGE`) for sizes that prove
    nothing."""
    second = certified_log_size(store, second)
    nodes = _Nodes(store)
    path = consistency_proof(nodes, KECCAK, first, second)
    return ConsistencyProof(first, second, root(nodes, KECCAK, first), root(nodes, KECCAK, second), path)
