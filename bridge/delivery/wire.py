"""Protobuf <-> our types, strictly: what is not exactly one of our values is refused before anything looks at it."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError, Message
from lianqiao.bridge.v1 import delivery_pb2 as pb

from bridge.delivery.contradiction import Contradiction
from bridge.delivery.order import Order
from lianqiao_base.errors import Rejected
from mainland_chain.light.packet import FieldOpening, Packet
from mainland_chain.light.types import (
    CertifiedCheckpoint,
    Checkpoint,
    QuorumCertificate,
    Rotation,
    Validator,
    ValidatorSet,
)

MAX_MESSAGE_BYTES = 256 * 1024


def encode_packet(packet: Packet) -> bytes:
    """Deterministic bytes of a packet, as stored and sent."""
    return packet_to_proto(packet).SerializeToString(deterministic=True)


def decode_packet(data: bytes) -> Packet:
    """Inverse of `encode_packet`. Raises `Rejected`."""
    message = pb.Packet()
    _parse(message, data)
    return packet_from_proto(message)


def packet_to_proto(packet: Packet) -> pb.Packet:
    """A packet for the border."""
    return pb.Packet(
        claim=packet.claim,
        log_index=packet.log_index,
        inclusion_path=packet.inclusion_path,
        checkpoint=checkpoint_to_proto(packet.checkpoint),
        rotations=[rotation_to_proto(r) for r in packet.rotations],
        openings=[
            pb.FieldOpening(name=o.name, value=o.value, salt=o.salt, index=o.index, size=o.size, path=o.path)
            for o in packet.openings
        ],
    )


def packet_from_proto(message: pb.Packet) -> Packet:
    """A packet from the border. Raises `Rejected` for anything that is not exactly a packet."""
    if message.ByteSize() > MAX_MESSAGE_BYTES:
        raise Rejected("PACKET_TOO_LARGE", f"a packet has at most {MAX_MESSAGE_BYTES} bytes")
    if not message.HasField("checkpoint"):
        raise Rejected("BAD_PACKET", "the packet has no checkpoint")
    packet = Packet(
        message.claim,
        message.log_index,
        tuple(message.inclusion_path),
        checkpoint_from_proto(message.checkpoint),
        tuple(rotation_from_proto(r) for r in message.rotations),
        tuple(FieldOpening(o.name, o.value, o.salt, o.index, o.size, tuple(o.path)) for o in message.openings),
    )
    # Unknown fields and other encodings would be lost on the way; what is stored must be what came.
    if encode_packet(packet) != message.SerializeToString(deterministic=True):
        raise Rejected("BAD_PACKET", "the packet holds fields of another version")
    return packet


def checkpoint_to_proto(certified: CertifiedCheckpoint) -> pb.CertifiedCheckpoint:
    """A certified checkpoint."""
    c = certified.checkpoint
    return pb.CertifiedCheckpoint(
        chain_id=c.chain_id,
        epoch=c.epoch,
        height=c.height,
        time_ms=c.time_ms,
        log_size=c.log_size,
        log_root=c.log_root,
        header_hash=c.header_hash,
        next_validators_hash=c.next_validators_hash,
        bitmap=certified.certificate.bitmap,
        signatures=certified.certificate.signatures,
    )


def checkpoint_from_proto(m: pb.CertifiedCheckpoint) -> CertifiedCheckpoint:
    """Inverse of `checkpoint_to_proto`. Raises `Rejected` for wrong lengths."""
    checkpoint = Checkpoint(
        m.chain_id,
        m.epoch,
        m.height,
        m.time_ms,
        m.log_size,
        m.log_root,
        m.header_hash,
        m.next_validators_hash,
    )
    return CertifiedCheckpoint(checkpoint, QuorumCertificate(m.bitmap, tuple(m.signatures)))


def encode_checkpoint(certified: CertifiedCheckpoint) -> bytes:
    """Deterministic bytes of a certified checkpoint."""
    return checkpoint_to_proto(certified).SerializeToString(deterministic=True)


def decode_checkpoint(data: bytes) -> CertifiedCheckpoint:
    """Inverse of `encode_checkpoint`."""
    message = pb.CertifiedCheckpoint()
    _parse(message, data)
    return checkpoint_from_proto(message)


def rotation_to_proto(rotation: Rotation) -> pb.ValidatorRotation:
    """A rotation."""
    members = [pb.ValidatorEntry(org_id=m.org_id, public_key=m.public_key) for m in rotation.next_set.members]
    return pb.ValidatorRotation(checkpoint=checkpoint_to_proto(rotation.certified), next_members=members)


def rotation_from_proto(message: pb.ValidatorRotation) -> Rotation:
    """Inverse of `rotation_to_proto`; the incoming set is that of the next epoch. Raises `Rejected`."""
    certified = checkpoint_from_proto(message.checkpoint)
    members = tuple(Validator(m.org_id, m.public_key) for m in message.next_members)
    return Rotation(certified, ValidatorSet(certified.checkpoint.chain_id, certified.checkpoint.epoch + 1, members))


def encode_rotations(rotations: Iterable[Rotation]) -> bytes:
    """Deterministic bytes of a chain of rotations."""
    return pb.Packet(rotations=[rotation_to_proto(r) for r in rotations]).SerializeToString(deterministic=True)


def decode_rotations(data: bytes) -> tuple[Rotation, ...]:
    """Inverse of `encode_rotations`."""
    message = pb.Packet()
    _parse(message, data)
    return tuple(rotation_from_proto(r) for r in message.rotations)


def encode_contradiction(contradiction: Contradiction) -> bytes:
    """Deterministic bytes, as stored: three messages, each behind its length in four bytes."""
    parts = (
        encode_checkpoint(contradiction.first),
        encode_checkpoint(contradiction.second),
        encode_rotations(contradiction.rotations),
    )
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def decode_contradiction(data: bytes) -> Contradiction:
    """Inverse of `encode_contradiction`. Raises `Rejected`."""
    parts, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at + 4 : end])
        at = end
    if len(parts) != 3 or at != len(data):
        raise Rejected("BAD_MESSAGE", "not a stored contradiction")
    return Contradiction(decode_checkpoint(parts[0]), decode_checkpoint(parts[1]), decode_rotations(parts[2]))


def encode_order(order: Order) -> bytes:
    """Deterministic bytes of an order without its identity payload."""
    return pb.SubmitOrderRequest(
        order_id=order.order_id,
        lock_ref=order.lock_ref,
        recipient=order.recipient,
        units=order.units,
        deadline=order.deadline,
        issuer_signature=order.issuer_signature,
        unit_price_hkd_cents=order.unit_price_hkd_cents,
    ).SerializeToString(deterministic=True)


def decode_order(data: bytes) -> Order:
    """Inverse of `encode_order`."""
    message = pb.SubmitOrderRequest()
    _parse(message, data)
    return order_from_proto(message)


def order_from_proto(message: pb.SubmitOrderRequest) -> Order:
    """The order of a request. Raises `Rejected("ORDER_INVALID")`."""
    return Order(
        message.order_id,
        message.lock_ref,
        message.recipient,
        message.units,
        message.deadline,
        message.issuer_signature,
        message.unit_price_hkd_cents,
    )


def _parse(message: Message, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Rejected("BAD_MESSAGE", "not a protobuf message of this type") from error
