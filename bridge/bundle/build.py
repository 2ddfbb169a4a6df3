"""Builds the bundle of a minted order from what the delivery node kept and what the L2 has."""

from __future__ import annotations

from eth_utils.address import to_checksum_address

from bridge.bundle.chain_source import read_mined
from bridge.bundle.model import Bundle, L2Evidence
from bridge.delivery.node import DeliveryNode, OrderEvidence
from compliance.transfer.clearance import recover
from hk_l2.bindings import MintController
from hk_l2.bindings.mint_controller import COMPLIANCE_SIGNER_ROLE
from hk_l2.chain import BlockStamp
from hk_l2.evm import EvmClient
from hk_l2.typed_data import Domain


def build_bundle(node: DeliveryNode, client: EvmClient, order_id: bytes) -> bytes:
    """The bundle of an order that is final, as canonical JSON. Raises `NotFound`, `PreconditionFailed("NOT_FINAL")`.

    With an embedded EVM, hold the lock that guards `client`.
    """
    return make_bundle(node.order_evidence(order_id), client, node.domain).to_bytes()


def make_bundle(evidence: OrderEvidence, client: EvmClient, domain: Domain) -> Bundle:
    """The bundle of an order's evidence and its mined transaction."""
    mined = read_mined(client, evidence.tx_hash)
    signed = evidence.clearance
    controller = bytes.fromhex(domain.controller[2:])
    digest = signed.clearance.digest(domain.chain_id, controller)
    signers = tuple(recover(digest, signature) for signature in signed.signatures)
    binding = MintController(client, domain.controller)
    receipt = client.receipt(evidence.tx_hash)
    at = None if receipt is None else BlockStamp(receipt.block_number, receipt.block_hash, 0)
    allowed = tuple(a for a in map(to_checksum_address, signers) if binding.has_role(COMPLIANCE_SIGNER_ROLE, a, at))
    longest = max((p.rotations for p in evidence.packets), key=len)
    return Bundle(
        genesis=evidence.genesis,
        rotations=longest,
        packets=evidence.packets,
        order=evidence.order.terms(),
        issuer_signature=evidence.order.issuer_signature,
        clearance=signed,
        signers=signers,
        decision=evidence.decision,
        l2=L2Evidence(
            domain.chain_id,
            domain.controller,
            mined.header,
            mined.block_hash,
            mined.transaction,
            mined.index,
            mined.transaction_proof,
            mined.receipt,
            mined.receipt_proof,
            allowed,
            binding.clearance_threshold(at),
        ),
    )
