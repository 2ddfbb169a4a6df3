"""Proofs fetched from a ledger and verified here, against a genesis that the caller trusts, before anybody sees them."""

from __future__ import annotations

from typing import Any

from lianqiao_base.errors import Rejected
from mainland_chain.client import LedgerClient
from mainland_chain.light.claims import decode_claim, leaf_hash
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.trust import TrustedState
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.proof import verify_inclusion
from mainland_chain.service.types import InclusionProof
from mainland_chain.state.block import decode_header


async def claim_proof(client: LedgerClient, genesis: Genesis, index: int) -> dict[str, Any]:
    """Claim `index` is in the export log that the newest certified checkpoint commits to.

    Plan: (1) the certificate under the genesis' validators; (2) the log's size is the checkpoint's; (3) the claim is of this
    ledger and the path leads to the certified root. Raises `VerificationError`, `ProofError`, `Rejected`.
    """
    certified = await client.checkpoint()
    checkpoint = certified.checkpoint
    TrustedState.from_genesis(genesis).apply_checkpoint(certified)
    proof = await client.claim_proof(index, checkpoint.log_size)
    if (proof.index, proof.size) != (index, checkpoint.log_size):
        raise Rejected("PROOF_MISMATCH", "the ledger sent a proof about something else", subject=f"claim {index}")
    claim = decode_claim(proof.leaf_data)
    if claim.envelope.chain_id != genesis.chain_id:
        raise Rejected("WRONG_CHAIN", "the claim is of another ledger", subject=f"claim {index}")
    verify_inclusion(KECCAK, leaf_hash(proof.leaf_data), index, proof.size, proof.path, checkpoint.log_root)
    document = _document("claim", genesis, certified, proof)
    document["claim"] = proof.leaf_data
    document["claim_kind"] = type(claim).__name__
    document["verified"] = (
        f"{type(claim).__name__} {index} of {proof.size} in the export log, hash Keccak-256, certified at height "
        f"{checkpoint.height} by {len(certified.certificate.signatures)} of {len(genesis.validators)} validators"
    )
    return document


async def transaction_proof(client: LedgerClient, genesis: Genesis, tx_hash: bytes) -> dict[str, Any]:
    """The result of a transaction is in its certified block.

    Plan: (1) the header is the certified one of its height; (2) the certificate under the genesis' validators; (3) the
    leaf is about this transaction and the path leads to the header's results root. Raises as `claim_proof`.
    """
    proof = await client.result_proof(tx_hash)
    header = decode_header(proof.header)
    certified = await client.checkpoint(header.height)
    TrustedState.from_genesis(genesis).apply_checkpoint(certified)
    if certified.checkpoint.header_hash != header.hash():
        raise Rejected("WRONG_HEADER", "the certificate is over another header", subject=tx_hash.hex())
    if proof.leaf_data[:32] != tx_hash:
        raise Rejected("PROOF_MISMATCH", "the ledger sent a proof about something else", subject=tx_hash.hex())
    verify_inclusion(SM3, SM3.leaf(proof.leaf_data), proof.index, proof.size, proof.path, header.results_root)
    document = _document("transaction result", genesis, certified, proof)
    document["header"] = proof.header
    document["transaction_hash"] = tx_hash
    document["result_code"] = int.from_bytes(proof.leaf_data[32:34], "big")
    document["record_root"] = proof.leaf_data[34:]
    document["verified"] = (
        f"result {proof.index} of {proof.size} of block {header.height}, hash SM3, certified by "
        f"{len(certified.certificate.signatures)} of {len(genesis.validators)} validators"
    )
    return document


def _document(kind: str, genesis: Genesis, certified: CertifiedCheckpoint, proof: InclusionProof) -> dict[str, Any]:
    c, certificate = certified.checkpoint, certified.certificate
    return {
        "format": "lianqiao.proof.v1",
        "kind": kind,
        "ledger": genesis.chain_id,
        "index": proof.index,
        "size": proof.size,
        "path": list(proof.path),
        "checkpoint": {
            "chain_id": c.chain_id,
            "epoch": c.epoch,
            "height": c.height,
            "time_ms": c.time_ms,
            "log_size": c.log_size,
            "log_root": c.log_root,
            "header_hash": c.header_hash,
            "next_validators_hash": c.next_validators_hash,
        },
        "certificate": {"bitmap": certificate.bitmap, "signatures": list(certificate.signatures)},
    }
