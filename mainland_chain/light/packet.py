"""The packet (docs/protocol.md §7): the only thing that crosses the border, and everything that is checked about it."""

from __future__ import annotations

from dataclasses import dataclass

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.claims import (
    MAX_CLAIM_BYTES,
    Claim,
    ExportedField,
    TelemetryClaim,
    Transform,
    decode_claim,
    leaf_hash,
)
from mainland_chain.light.errors import VerificationError
from mainland_chain.light.trust import TrustedState
from mainland_chain.light.types import U64, CertifiedCheckpoint, Rotation
from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.proof import verify_inclusion

MAX_PROOF_HASHES = 64
MAX_ROTATIONS = 256
MAX_OPENINGS = 64
MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 4096
MAX_CLOCK_SKEW_MS = 300_000
"""How far a certified time may lie ahead of the verifier's clock."""

_INTEGER, _TEXT, _BYTES = b"\x01", b"\x02", b"\x03"


@dataclass(frozen=True, slots=True)
class FieldOpening:
    """One field of a mainland record, opened against the record root (docs/protocol.md §2)."""

    name: str
    value: bytes
    """Encoded: a type byte and the content."""
    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def leaf(self) -> bytes:
        """`SM3(0x00 ‖ salt ‖ u16 len ‖ name ‖ u32 len ‖ value)`."""
        name = self.name.encode()
        lengths = len(name).to_bytes(2, "big"), len(self.value).to_bytes(4, "big")
        return sm3(b"\x00" + self.salt + lengths[0] + name + lengths[1] + self.value)

    def text(self) -> str:
        """The value as a claim shows it under `keep`: decimal, text, or lower-case hex.

        Raises `VerificationError("BAD_OPENING")`.
        """
        kind, content = self.value[:1], self.value[1:]
        try:
            if kind == _INTEGER:
                number = int(content)
                if str(number).encode() == content:
                    return str(number)
            elif kind == _TEXT:
                return content.decode()
            elif kind == _BYTES:
                return content.hex()
        except ValueError:
            pass
        raise VerificationError("BAD_OPENING", "not an encoded field value", subject=self.name)


@dataclass(frozen=True, slots=True)
class Packet:
    """One claim and what proves it. The same claim under a newer checkpoint has the same `packet_id`."""

    claim: bytes
    """Canonical ABI bytes."""
    log_index: int
    inclusion_path: tuple[bytes, ...]
    """Leaf to root."""
    checkpoint: CertifiedCheckpoint
    rotations: tuple[Rotation, ...]
    """From genesis to the checkpoint's epoch; one more when the checkpoint itself is the last rotation."""
    openings: tuple[FieldOpening, ...]

    def packet_id(self) -> bytes:
        """`keccak("lianqiao.packet.v1" ‖ chain_id ‖ u64 log_index ‖ leaf)`."""
        return packet_id(self.checkpoint.checkpoint.chain_id, self.log_index, leaf_hash(self.claim))


def packet_id(chain_id: bytes, log_index: int, leaf: bytes) -> bytes:
    """Identifier of a packet, 32 bytes. Raises `VerificationError("INDEX_OUT_OF_RANGE")` beyond 64 bits."""
    if not 0 <= log_index < U64:
        raise VerificationError("INDEX_OUT_OF_RANGE", "a log index fits 64 bits, unsigned")
    return keccak256(b"lianqiao.packet.v1" + chain_id + log_index.to_bytes(8, "big") + leaf)


@dataclass(frozen=True, slots=True)
class VerifiedPacket:
    """A packet that passed every check, its claim, and what the verifier may believe from now on."""

    packet: Packet
    packet_id: bytes
    claim: Claim
    leaf: bytes
    trusted: TrustedState


def verify_packet(packet: Packet, trusted: TrustedState, *, destination: bytes, now_ms: int) -> VerifiedPacket:
    """Check everything about `packet` that can be checked without the L2.

    Plan:
    1. Sizes: nothing is hashed or parsed that is larger than it can validly be.
    2. The claim is the canonical encoding of a known claim.
    3. It is about the trusted ledger and made for `destination`.
    4. Every rotation from genesis on was certified by the outgoing set.
    5. A quorum of the resulting set certified the checkpoint, and nothing already trusted contradicts it.
    6. The claim is in the export log at `log_index`, under the checkpoint's root, with `log_index < log_size`.
    7. Every field exported under `keep` opens against the record, and nothing else is opened.
    8. Times and heights are possible: record before claim, claim before checkpoint, checkpoint not in the future.

    Raises `VerificationError` and, on proof that a quorum lied, `Equivocation`.
    """
    _check_sizes(packet)
    try:
        claim = decode_claim(packet.claim)
    except Rejected as error:
        raise VerificationError("BAD_CLAIM", error.message, hint=error.hint) from error
    _check_binding(claim, trusted, destination)
    followed = trusted.at_genesis()
    for rotation in packet.rotations:
        followed = followed.apply_rotation(rotation)
    if not (packet.rotations and packet.rotations[-1].certified == packet.checkpoint):
        followed = followed.apply_checkpoint(packet.checkpoint)
    advanced = trusted.merge(followed)
    leaf = leaf_hash(packet.claim)
    _check_inclusion(packet, leaf)
    _check_openings(claim, packet.openings)
    _check_times(claim, packet.checkpoint, now_ms)
    return VerifiedPacket(packet, packet.packet_id(), claim, leaf, advanced)


def _check_sizes(packet: Packet) -> None:
    certificates = [packet.checkpoint, *(r.certified for r in packet.rotations)]
    hashes = [packet.inclusion_path, *(o.path for o in packet.openings)]
    limits = (
        ("claim", len(packet.claim), MAX_CLAIM_BYTES),
        ("inclusion path", len(packet.inclusion_path), MAX_PROOF_HASHES),
        ("rotations", len(packet.rotations), MAX_ROTATIONS),
        ("openings", len(packet.openings), MAX_OPENINGS),
        ("signatures", max(len(c.certificate.signatures) for c in certificates), 64),
        ("opening path", max((len(o.path) for o in packet.openings), default=0), MAX_PROOF_HASHES),
        ("field name", max((len(o.name.encode()) for o in packet.openings), default=0), MAX_NAME_BYTES),
        ("field value", max((len(o.value) for o in packet.openings), default=0), MAX_VALUE_BYTES),
    )
    for what, size, limit in limits:
        if size > limit:
            raise VerificationError("TOO_LARGE", f"{what}: {size} given, at most {limit} allowed")
    if any(len(h) != 32 for path in hashes for h in path) or any(len(o.salt) != 32 for o in packet.openings):
        raise VerificationError("BAD_LENGTH", "hashes and salts have 32 bytes")


def _check_binding(claim: Claim, trusted: TrustedState, destination: bytes) -> None:
    if claim.envelope.chain_id != trusted.chain_id:
        raise VerificationError("WRONG_CHAIN", "the claim is of another ledger", subject=claim.envelope.chain_id.hex())
    if claim.envelope.destination != destination:
        raise VerificationError(
            "WRONG_DESTINATION",
            "the claim was exported for another chain or controller",
            subject=claim.envelope.destination.hex(),
            hint="export it for this destination",
        )


def _check_inclusion(packet: Packet, leaf: bytes) -> None:
    checkpoint = packet.checkpoint.checkpoint
    try:
        verify_inclusion(
            KECCAK, leaf, packet.log_index, checkpoint.log_size, packet.inclusion_path, checkpoint.log_root
        )
    except ProofError as error:
        raise VerificationError(
            "BAD_INCLUSION_PROOF", f"{error.code}: {error.message}", subject=f"log index {packet.log_index}"
        ) from error


def _check_openings(claim: Claim, openings: tuple[FieldOpening, ...]) -> None:
    # The evidence of a telemetry claim is a root over many records: no single record can be opened against it.
    kept: dict[str, ExportedField] = (
        {} if isinstance(claim, TelemetryClaim) else {f.name: f for f in claim.fields if f.transform is Transform.KEEP}
    )
    names = [o.name for o in openings]
    if len(set(names)) != len(names):
        raise VerificationError("OPENING_TWICE", "a field is opened twice")
    for name in sorted(set(names) - kept.keys()):
        raise VerificationError("OPENING_UNEXPECTED", "a field is opened that the claim does not keep", subject=name)
    for name in sorted(kept.keys() - set(names)):
        raise VerificationError("OPENING_MISSING", "a kept field is not opened against its record", subject=name)
    for opening in openings:
        try:
            verify_inclusion(
                SM3, opening.leaf(), opening.index, opening.size, opening.path, claim.envelope.evidence_root
            )
        except ProofError as error:
            raise VerificationError("BAD_OPENING", f"{error.code}: {error.message}", subject=opening.name) from error
        if opening.text() != kept[opening.name].value:
            raise VerificationError(
                "OPENING_DIFFERS", "the claim shows another value than the record", subject=opening.name
            )


def _check_times(claim: Claim, certified: CertifiedCheckpoint, now_ms: int) -> None:
    envelope, checkpoint = claim.envelope, certified.checkpoint
    if not 1 <= envelope.height <= checkpoint.height:
        raise VerificationError("BAD_TIME", "the claim's block lies beyond the checkpoint")
    if envelope.time_ms > checkpoint.time_ms:
        raise VerificationError("BAD_TIME", "the claim is younger than the checkpoint")
    if checkpoint.time_ms > now_ms + MAX_CLOCK_SKEW_MS:
        raise VerificationError(
            "FROM_THE_FUTURE", "the checkpoint's time lies ahead of this clock", hint="check this machine's clock"
        )
    if isinstance(claim, TelemetryClaim) and not (
        claim.interval_start_ms < claim.interval_end_ms and claim.interval_end_ms <= envelope.time_ms
    ):
        raise VerificationError("BAD_TIME", "the telemetry interval is empty or ends after the claim")
