"""Export claims as ABI structs (docs/protocol.md §4): what may be known in Hong Kong about a mainland record, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.keccak import keccak256

MAX_CLAIM_BYTES = 16 * 1024


class Transform(IntEnum):
    """How the export policy changes a field before it leaves."""

    KEEP = 1
    ROUND = 2
    BUCKET = 3
    REGION = 4
    PSEUDONYM = 5
    SUM = 6
    COUNT = 7
    MIN = 8
    MAX = 9


@dataclass(frozen=True, slots=True)
class ExportedField:
    """One extra field of a claim: the value after its transform, as text."""

    name: str
    transform: Transform
    value: str


@dataclass(frozen=True, slots=True)
class ClaimEnvelope:
    """The first nine words of every claim."""

    claim_type: bytes
    chain_id: bytes
    destination: bytes
    asset_ref: bytes
    policy_version: int
    decision_hash: bytes
    evidence_root: bytes
    height: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class AssetClaim:
    """An asset right exists on the mainland, divided into `unit_count` units."""

    envelope: ClaimEnvelope
    profile: bytes
    unit_count: int
    fields: tuple[ExportedField, ...]


@dataclass(frozen=True, slots=True)
class TelemetryClaim:
    """Energy of one asset over `[interval_start_ms, interval_end_ms)`, Wh, summed by the validators from the signed readings."""

    envelope: ClaimEnvelope
    interval_start_ms: int
    interval_end_ms: int
    energy_wh: int
    cumulative_energy_wh: int
    reading_count: int
    flagged_count: int
    fields: tuple[ExportedField, ...]


@dataclass(frozen=True, slots=True)
class UnitLockClaim:
    """`units` of an asset are locked on the mainland in favour of `issuer` (20-byte EVM address)."""

    envelope: ClaimEnvelope
    lock_ref: bytes
    units: int
    issuer: bytes
    filing_reference: str
    approval_expiry_ms: int
    expiry_ms: int
    fields: tuple[ExportedField, ...]


Claim = AssetClaim | TelemetryClaim | UnitLockClaim

_ENVELOPE = "(bytes32,bytes32,bytes32,bytes32,uint64,bytes32,bytes32,uint64,uint64)"
_FIELDS = "(string,uint8,string)[]"
ABI_TYPES: dict[type[Claim], str] = {
    AssetClaim: f"({_ENVELOPE},bytes32,uint64,{_FIELDS})",
    TelemetryClaim: f"({_ENVELOPE},uint64,uint64,uint64,uint64,uint64,uint64,{_FIELDS})",
    UnitLockClaim: f"({_ENVELOPE},bytes32,uint64,address,string,uint64,uint64,{_FIELDS})",
}
CLAIM_TYPES: dict[type[Claim], bytes] = {
    kind: keccak256(f"lianqiao.claim.{kind.__name__}.v1".encode()) for kind in ABI_TYPES
}
_BY_TYPE: dict[bytes, type[Claim]] = {value: kind for kind, value in CLAIM_TYPES.items()}


def _bad(message: str) -> Rejected:
    return Rejected("BAD_CLAIM", message, hint="the claim must be the canonical ABI encoding of its struct")


def _check_fields(items: tuple[ExportedField, ...]) -> None:
    names = [f.name for f in items]
    if any(a >= b for a, b in itertools.pairwise(names)):
        raise _bad("exported fields must be sorted by name and distinct")


def _to_abi(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_abi(v) for v in value]
    if isinstance(value, ExportedField | ClaimEnvelope):
        return tuple(_to_abi(getattr(value, f.name)) for f in fields(value))
    return int(value) if isinstance(value, Transform) else value


def encode_claim(claim: Claim) -> bytes:
    """`abi.encode(claim)`. Raises `Rejected("BAD_CLAIM")` when a value does not fit its type."""
    if claim.envelope.claim_type != CLAIM_TYPES[type(claim)]:
        raise _bad("the envelope's claim type is not that of the struct")
    _check_fields(claim.fields)
    # eth_abi pads a bytes32 that is too short; ours are hashes, and a short one is a mistake.
    for part in (claim, claim.envelope):
        for f in fields(part):
            value = getattr(part, f.name)
            if isinstance(value, bytes) and len(value) != (20 if f.name == "issuer" else 32):
                raise _bad(f"{f.name} has {len(value)} bytes")
    try:
        return encode([ABI_TYPES[type(claim)]], [tuple(_to_abi(getattr(claim, f.name)) for f in fields(claim))])
    except (EncodingError, UnicodeEncodeError) as error:
        raise _bad("a value does not fit its ABI type") from error


def decode_claim(data: bytes) -> Claim:
    """The claim that `data` encodes. Strict: `data` must be the one canonical encoding. Raises `Rejected("BAD_CLAIM")`."""
    if len(data) > MAX_CLAIM_BYTES:
        raise _bad(f"{len(data)} bytes; at most {MAX_CLAIM_BYTES} are allowed")
    if len(data) < 64 or data[:32] != (32).to_bytes(32, "big"):
        raise _bad("too short, or not one dynamic tuple")
    kind = _BY_TYPE.get(data[32:64])
    if kind is None:
        raise _bad("unknown claim type")
    try:
        raw = list(decode([ABI_TYPES[kind]], data)[0])
        raw[0] = ClaimEnvelope(*raw[0])
        raw[-1] = tuple(ExportedField(n, Transform(t), v) for n, t, v in raw[-1])
    except (DecodingError, ValueError, OverflowError, UnicodeDecodeError) as error:
        raise _bad("not a well-formed ABI encoding of the struct") from error
    if kind is UnitLockClaim:
        raw[3] = bytes.fromhex(raw[3][2:])
    claim: Claim = kind(*raw)
    if encode_claim(claim) != data:
        raise _bad("not the canonical encoding")
    return claim


def leaf_hash(claim: bytes) -> bytes:
    """Leaf of the export log: `keccak(0x00 ‖ claim)`."""
    return keccak256(b"\x00" + claim)


def destination_id(l2_chain_id: int, mint_controller: bytes) -> bytes:
    """`keccak(abi.encode(uint256 chain id, address))`; the address has 20 bytes."""
    if len(mint_controller) != 20:
        raise Rejected("BAD_ADDRESS", "an EVM address has 20 bytes", subject=mint_controller.hex())
    return keccak256(l2_chain_id.to_bytes(32, "big") + mint_controller.rjust(32, b"\x00"))
