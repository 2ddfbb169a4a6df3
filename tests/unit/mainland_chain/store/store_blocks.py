"""Well-formed blocks without a state machine, so that a store can be tested alone."""

from __future__ import annotations

from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.types import CertifiedCheckpoint, QuorumCertificate
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.tree import CompactRange, merkle_root
from mainland_chain.state.block import (
    BlockCommit,
    Header,
    LoggedClaim,
    LogNode,
    StoredRecord,
    TransactionResult,
)

CHAIN = sm3(b"chain")


class Chain:
    """Makes block after block; `claims` per block go into the export log."""

    def __init__(self, chain_id: bytes = CHAIN) -> None:
        self.chain_id = chain_id
        self.height = 0
        self.previous = chain_id
        self.log = CompactRange(KECCAK)

    def block(
        self, transactions: int = 3, claims: int = 2, writes: tuple[tuple[str, bytes | None], ...] = ()
    ) -> BlockCommit:
        self.height += 1
        height = self.height
        hashes = [sm3(b"tx %d %d" % (height, i)) for i in range(transactions)]
        leaves = tuple(h + b"\x00\x00" + bytes(32) for h in hashes)
        results = tuple(
            TransactionResult(
                h,
                "OK",
                record_id=sm3(b"r" + h),
                record_root=sm3(b"root" + h),
                flagged=((i + 1, ("GAP", "HIGH")),) if i else (),
            )
            for i, h in enumerate(hashes)
        )
        logged = []
        for i in range(claims):
            claim = b"claim %d %d" % (height, i)
            logged.append(
                LoggedClaim(self.log.size + i, claim, KECCAK.leaf(claim), hashes[0], (sm3(b"r" + hashes[0]),))
            )
        self.log, nodes = self.log.extend([c.leaf for c in logged])
        header = Header(
            chain_id=self.chain_id,
            height=height,
            time_ms=1_700_000_000_000 + height,
            previous_header_hash=self.previous,
            tx_root=sm3(b"transactions"),
            results_root=merkle_root(SM3, [SM3.leaf(leaf) for leaf in leaves]),
            state_commitment=sm3(b"state"),
            export_log_size=self.log.size,
            export_log_root=self.log.root(),
            epoch=1,
            validators_hash=sm3(b"set"),
            next_validators_hash=sm3(b"set"),
        )
        self.previous = header.hash()
        return BlockCommit(
            header=header,
            header_hash=self.previous,
            transactions=tuple(b"signed " + h for h in hashes),
            results=results,
            result_leaves=leaves,
            writes=writes,
            records=tuple(
                StoredRecord(r.record_id, "telemetry", r.tx_hash, height, "org-a", r.record_root, b"data " + r.tx_hash)
                for r in results
            ),
            claims=tuple(logged),
            log_nodes=tuple(LogNode(n.level, n.index, n.hash) for n in nodes),
        )


def certified(block: BlockCommit) -> CertifiedCheckpoint:
    """A certificate with the highest bitmap, not a valid one: a store does not judge signatures."""
    return CertifiedCheckpoint(block.header.checkpoint(), QuorumCertificate(2**64 - 1, (b"\x01" * 64, b"\x02" * 64)))
