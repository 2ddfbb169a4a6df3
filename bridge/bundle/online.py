"""What only a node can confirm about a bundle: its block is on the chain and under the finality tag, its signers were allowed."""

from __future__ import annotations

import rlp  # type: ignore[import-untyped]

from bridge.bundle.model import L2Evidence
from hk_l2.bindings import MintController
from hk_l2.bindings.mint_controller import COMPLIANCE_SIGNER_ROLE
from hk_l2.chain import BlockStamp
from hk_l2.evm import connect
from lianqiao_base.errors import NotFound, Rejected


def ask_node(l2: L2Evidence, url: str) -> str:
    """What the node says, in words. Raises `Rejected` when it contradicts the bundle, `Retryable` when it is away."""
    client = connect(url)
    if client.chain_id() != l2.chain_id:
        raise Rejected("WRONG_NETWORK", f"the node serves chain {client.chain_id()}, the bundle is of {l2.chain_id}")
    number = int.from_bytes(rlp.decode(l2.header)[8], "big")
    stamp = client.block_stamp(number)
    if stamp.hash != l2.block_hash:
        raise Rejected("NOT_ON_THE_CHAIN", f"the node has another block {number}: 0x{stamp.hash.hex()}")
    at = BlockStamp(number, stamp.hash, stamp.timestamp)
    controller = MintController(client, l2.controller)
    for signer in l2.allowed_signers:
        if not controller.has_role(COMPLIANCE_SIGNER_ROLE, signer, at):
            raise Rejected("SIGNER_NOT_ALLOWED", "the contract did not allow this compliance signer", subject=signer)
    if controller.clearance_threshold(at) != l2.clearance_threshold:
        raise Rejected("OTHER_THRESHOLD", "the contract asked for another number of signatures")
    try:
        finalized = client.block_stamp("finalized").number
    except NotFound:
        return f"block {number} is on the node's chain; the node names no finalized block"
    if number > finalized:
        return f"block {number} is on the node's chain but not finalized yet (finalized: {finalized})"
    return f"block {number} is on the node's chain and finalized"
