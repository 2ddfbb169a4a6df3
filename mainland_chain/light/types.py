"""Checkpoints, validator sets and quorum certificates (docs/protocol.md §5). All immutable, all encodable one way only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

from eth_abi.abi import encode

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm2
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3

CHECKPOINT_TAG = keccak256(b"lianqiao.checkpoint.v1")
VALIDATORS_TYPE = keccak256(b"lianqiao.validators.v1")
MAX_VALIDATORS = 64
U64 = 2**64


def org_id(organisation: str) -> bytes:
    """32-byte identifier of an organisation: `SM3(ascii id)`."""
    return sm3(organisation.encode("ascii"))


def _require_u64(name: str, value: int) -> None:
    if not 0 <= value < U64:
        raise Rejected("OUT_OF_RANGE", f"{name} must fit 64 bits, unsigned", subject=name)


def _require_bytes32(name: str, value: bytes) -> None:
    if len(value) != 32:
        raise Rejected("BAD_LENGTH", f"{name} must have 32 bytes, has {len(value)}", subject=name)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a quorum of validators signs about one block."""

    chain_id: bytes
    """32 bytes; pins the genesis."""
    epoch: int
    """Epoch of the validator set that signs this checkpoint."""
    height: int
    """Block height, 1 and up."""
    time_ms: int
    """Block time, milliseconds UTC."""
    log_size: int
    """Number of claims in the export log after this block."""
    log_root: bytes
    """Keccak-256 RFC 6962 root of the export log at `log_size`."""
    header_hash: bytes
    """SM3 hash of the block header."""
    next_validators_hash: bytes
    """Hash of the set that signs the next checkpoint."""

    def __post_init__(self) -> None:
        for name in ("epoch", "height", "time_ms", "log_size"):
            _require_u64(name, getattr(self, name))
        for name in ("chain_id", "log_root", "header_hash", "next_validators_hash"):
            _require_bytes32(name, getattr(self, name))

    def digest(self) -> bytes:
        """`keccak(abi.encode(checkpoint))`, 32 bytes."""
        return keccak256(
            self.chain_id
            + b"".join(v.to_bytes(32, "big") for v in (self.epoch, self.height, self.time_ms, self.log_size))
            + self.log_root
            + self.header_hash
            + self.next_validators_hash
        )

    def signing_message(self) -> bytes:
        """The 64 bytes that a validator signs with SM2."""
        return CHECKPOINT_TAG + self.digest()


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """Signatures of a quorum over one checkpoint."""

    bitmap: int
    """Bit i is set when member i of the set signed."""
    signatures: tuple[bytes, ...]
    """One 64-byte r‖s per set bit, in rising bit order."""

    def trimmed(self, count: int) -> QuorumCertificate:
        """The same certificate with only its first `count` signers: a quorum is enough, and the L2 pays per signature."""
        signers = [i for i in range(self.bitmap.bit_length()) if self.bitmap >> i & 1][:count]
        return QuorumCertificate(sum(1 << i for i in signers), self.signatures[: len(signers)])


@dataclass(frozen=True, slots=True)
class Validator:
    """One organisation's vote."""

    org_id: bytes
    """32 bytes, `SM3(organisation id)`."""
    public_key: bytes
    """SM2 public key, 64 bytes X‖Y."""

    def member_hash(self) -> bytes:
        return keccak256(self.org_id + self.public_key)


@dataclass(frozen=True)
class ValidatorSet:
    """The organisations that may certify checkpoints during one epoch, ordered by `org_id`."""

    chain_id: bytes
    epoch: int
    members: tuple[Validator, ...]

    def __post_init__(self) -> None:
        _require_bytes32("chain_id", self.chain_id)
        _require_u64("epoch", self.epoch)
        if not 1 <= len(self.members) <= MAX_VALIDATORS:
            raise Rejected("BAD_VALIDATOR_SET", f"a set has 1 to {MAX_VALIDATORS} members, not {len(self.members)}")
        ids = [m.org_id for m in self.members]
        if any(len(i) != 32 for i in ids) or any(a >= b for a, b in itertools.pairwise(ids)):
            raise Rejected("BAD_VALIDATOR_SET", "organisation ids must be 32 bytes and strictly increasing")
        if len({m.public_key for m in self.members}) != len(self.members):
            raise Rejected("BAD_VALIDATOR_SET", "two organisations share one key")
        if not all(sm2.public_key_is_valid(m.public_key) for m in self.members):
            raise Rejected("BAD_VALIDATOR_SET", "a public key is not a point of the SM2 curve")

    @property
    def quorum(self) -> int:
        """More than two thirds of the members: `floor(2n/3) + 1`."""
        return 2 * len(self.members) // 3 + 1

    @cached_property
    def hash(self) -> bytes:
        """32-byte `validatorsHash`."""
        return keccak256(
            encode(
                ["bytes32", "bytes32", "uint64", "bytes32[]"],
                [VALIDATORS_TYPE, self.chain_id, self.epoch, [m.member_hash() for m in self.members]],
            )
        )


@dataclass(frozen=True, slots=True)
class CertifiedCheckpoint:
    """A checkpoint and the certificate over it."""

    checkpoint: Checkpoint
    certificate: QuorumCertificate


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outgoing set's certificate over the set that follows it."""

    certified: CertifiedCheckpoint
    next_set: ValidatorSet
