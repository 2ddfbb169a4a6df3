"""The next transaction of an item, from what the chain already has. Asked again before every step, so never out of date."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from bridge.delivery.contradiction import Contradiction
from bridge.delivery.layer2 import Layer2, Proof
from bridge.delivery.machine import AlreadyDone, Deferred, Event, Held, Refused, backoff_ms
from bridge.delivery.order import Order
from bridge.delivery.reasons import BRIDGE, GUARDIAN, ISSUER
from compliance.transfer.clearance import SignedClearance
from hk_l2.chain import BlockStamp, Call
from hk_l2.typed_data import ClearanceData
from mainland_chain.light.claims import decode_claim, leaf_hash
from mainland_chain.light.packet import Packet
from mainland_chain.light.types import Rotation

CLEARANCE_MARGIN_S = 30
"""A clearance that ends sooner might end before the transaction is mined."""


@dataclass(frozen=True, slots=True)
class NextCall:
    """A call to send; `last` when its success completes the item."""

    call: Call
    last: bool


def plan_packet(packet: Packet, layer2: Layer2, at: BlockStamp, attempts: int, now_ms: int) -> NextCall | Event:
    """Plan: (1) recorded already: done; (2) frozen: wait; (3) bring the light client to the packet's checkpoint, a key, a
    rotation or an update at a time; (4) prove the claim."""
    if layer2.claim_recorded(leaf_hash(packet.claim), at):
        return AlreadyDone(at.number, at.hash)
    if layer2.frozen(at):
        return _later("ClientFrozen", "the light client is frozen after an equivocation", GUARDIAN, attempts, now_ms)
    checkpoint = packet.checkpoint.checkpoint
    known = layer2.root_of(checkpoint.log_size)
    if known is None:
        return _advance_light_client(packet, layer2)
    if known != checkpoint.log_root:
        return Held(
            "ROOT_CONFLICT", "the light client knows another root for this log size: the mainland log forked", BRIDGE
        )
    proof = Proof(
        decode_claim(packet.claim), packet.claim, packet.log_index, checkpoint.log_size, packet.inclusion_path
    )
    return NextCall(layer2.prove(proof), last=True)


def _advance_light_client(packet: Packet, layer2: Layer2) -> NextCall | Event:
    head = layer2.head()
    checkpoint = packet.checkpoint.checkpoint
    handover = _next_rotation(packet.rotations, head.epoch, layer2)
    if handover is not None:
        return handover
    if checkpoint.epoch < head.epoch or checkpoint.height <= head.height or checkpoint.log_size <= head.log_size:
        return Held(
            "CHECKPOINT_SUPERSEDED",
            f"the light client is at height {head.height} already: resubmit with a proof under a newer checkpoint",
            BRIDGE,
        )
    return NextCall(layer2.update(packet.checkpoint), last=False)


def plan_report(contradiction: Contradiction, layer2: Layer2, at: BlockStamp) -> NextCall | Event:
    """Plan: (1) frozen already, by whomever: done; (2) bring the light client to the epoch of the set that certified both
    checkpoints, a key or a rotation at a time, for it cannot check them before; (3) report them."""
    if layer2.frozen(at):
        return AlreadyDone(at.number, at.hash)
    handover = _next_rotation(contradiction.rotations, layer2.head().epoch, layer2)
    if handover is not None:
        return handover
    return NextCall(layer2.report(contradiction.first, contradiction.second), last=True)


def _next_rotation(rotations: tuple[Rotation, ...], epoch: int, layer2: Layer2) -> NextCall | None:
    """What takes the light client out of `epoch`: the rotation, or first a key that it needs. None at the last epoch."""
    if epoch >= len(rotations):
        return None
    registration = layer2.unregistered_key(rotations[epoch])
    return NextCall(registration if registration is not None else layer2.rotate(rotations[epoch]), last=False)


def plan_order(order: Order, signed: SignedClearance, layer2: Layer2, at: BlockStamp, now_ms: int) -> NextCall | Event:
    """Plan: (1) carried out already: done, or the id is taken; (2) past its deadline: never; (3) clearance about to end:
    hold; (4) mint."""
    state = layer2.order_state(order.order_id, at)
    if state.used:
        if (state.recipient, state.units) == (to_checksum_address(order.recipient), order.units):
            return AlreadyDone(at.number, at.hash)
        return Refused("OrderUsed", "another order was carried out under this id")
    now_s = max(now_ms // 1000, at.timestamp)
    if now_s > order.deadline:
        return Refused("OrderExpired", "the order's deadline has passed")
    clearance = signed.clearance
    if now_s + CLEARANCE_MARGIN_S > clearance.expiry and clearance.expiry < order.deadline:
        return Held("ClearanceExpired", "the clearance expired; submit the order again to be cleared anew", ISSUER)
    data = ClearanceData(clearance.decision_hash, clearance.expiry)
    return NextCall(layer2.mint(order.terms(), order.issuer_signature, data, signed.signatures), last=True)


def _later(code: str, reason: str, actor: str, attempts: int, now_ms: int) -> Deferred:
    return Deferred(code, reason, actor, now_ms + backoff_ms(attempts))
