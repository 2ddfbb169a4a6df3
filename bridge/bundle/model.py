"""The regulator's bundle as a value, and its one JSON form (schema: `bundle.schema.json`). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from jsonschema import Draft202012Validator

from compliance.evidence.model import DecisionRecord, parse_record
from compliance.transfer.clearance import Clearance, SignedClearance
from hk_l2.typed_data import MintOrder
from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Fatal, Rejected
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.packet import FieldOpening, Packet
from mainland_chain.light.types import (
    CertifiedCheckpoint,
    Checkpoint,
    QuorumCertificate,
    Rotation,
    Validator,
    ValidatorSet,
)

FORMAT = "lianqiao.bundle.v1"
MAX_BUNDLE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class L2Evidence:
    """The mint on the L2. Byte strings are as hashed on the chain; `informative` is what only a node can confirm."""

    chain_id: int
    controller: str
    """MintController, checksum address."""
    header: bytes
    """RLP of the block header."""
    block_hash: bytes
    transaction: bytes
    transaction_index: int
    transaction_proof: tuple[bytes, ...]
    receipt: bytes
    receipt_proof: tuple[bytes, ...]
    allowed_signers: tuple[str, ...]
    """Compliance signers as read on the L2 when the bundle was made (informative)."""
    clearance_threshold: int
    """As read on the L2 when the bundle was made (informative)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything about one mint."""

    genesis: Genesis
    rotations: tuple[Rotation, ...]
    packets: tuple[Packet, ...]
    """Asset, lock, then telemetry. Each has the rotations up to its checkpoint."""
    order: MintOrder
    issuer_signature: bytes
    clearance: SignedClearance
    signers: tuple[bytes, ...]
    """Who signed the clearance, in order."""
    decision: DecisionRecord
    l2: L2Evidence

    def to_bytes(self) -> bytes:
        """Canonical JSON. Raises `Fatal("BUNDLE_SCHEMA")` if it broke its own schema."""
        document = _to_json(self)
        problem = _schema_problem(document)
        if problem:
            raise Fatal("BUNDLE_SCHEMA", problem)
        return canonical.dumps(document)


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12)."""
    text = resources.files("bridge.bundle").joinpath("bundle.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def _schema_problem(document: Json) -> str:
    error = next(iter(sorted(_validator().iter_errors(document), key=lambda e: list(map(str, e.absolute_path)))), None)
    return "" if error is None else f"{error.json_path}: {error.message[:200]}"


def parse(data: bytes) -> Json:
    """The document of a bundle: canonical JSON that fits the schema. Raises `Rejected("BAD_BUNDLE")`."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise Rejected("BAD_BUNDLE", f"a bundle has at most {MAX_BUNDLE_BYTES} bytes")
    try:
        document = canonical.loads_strict(data)
    except Rejected as error:
        raise Rejected("BAD_BUNDLE", error.message) from error
    problem = _schema_problem(document)
    if problem:
        raise Rejected("BAD_BUNDLE", f"does not fit the schema at {problem}")
    return document


def from_json(document: Json) -> Bundle:
    """The bundle of a parsed document. Raises `Rejected` where a value is impossible."""
    raw = cast("dict[str, Any]", document)
    mainland, l2, hong_kong = raw["mainland"], raw["l2"], raw["hong_kong"]
    genesis = Genesis.from_json(mainland["genesis"])
    rotations = tuple(_rotation(r, genesis.chain_id) for r in mainland["rotations"])
    certified = [_certified(c, genesis.chain_id) for c in mainland["checkpoints"]]
    packets = tuple(_packet(p, certified, rotations) for p in mainland["claims"])
    if {p["checkpoint"] for p in mainland["claims"]} != set(range(len(certified))):
        raise Rejected("BAD_BUNDLE", "a checkpoint is missing, or proves no claim")
    order, signed = _order(hong_kong["order"]), hong_kong["clearance"]
    clearance = Clearance(
        order.order_id,
        order.lock_ref,
        bytes.fromhex(order.recipient[2:]),
        order.units,
        _bytes(signed["decision_hash"]),
        signed["expiry"],
    )
    decision_bytes = canonical.dumps(hong_kong["decision"])
    try:
        decision = parse_record(decision_bytes)
    except Fatal as error:
        raise Rejected("BAD_DECISION", "not a decision record") from error
    return Bundle(
        genesis,
        rotations,
        packets,
        order,
        _bytes(hong_kong["order"]["issuer_signature"]),
        SignedClearance(clearance, tuple(_bytes(s["signature"]) for s in signed["signatures"])),
        tuple(_bytes(s["signer"][2:]) for s in signed["signatures"]),
        decision,
        _l2(l2),
    )


def _to_json(bundle: Bundle) -> dict[str, Json]:
    checkpoints: list[CertifiedCheckpoint] = []
    for packet in bundle.packets:
        if packet.checkpoint not in checkpoints:
            checkpoints.append(packet.checkpoint)
    order, clearance, l2 = bundle.order, bundle.clearance.clearance, bundle.l2
    return {
        "format": FORMAT,
        "hong_kong": {
            "clearance": {
                "decision_hash": clearance.decision_hash.hex(),
                "expiry": clearance.expiry,
                "signatures": [
                    {"signature": signature.hex(), "signer": "0x" + signer.hex()}
                    for signer, signature in zip(bundle.signers, bundle.clearance.signatures, strict=True)
                ],
            },
            "decision": bundle.decision.to_json(),
            "order": {
                "deadline": order.deadline,
                "issuer_signature": bundle.issuer_signature.hex(),
                "lock_ref": order.lock_ref.hex(),
                "order_id": order.order_id.hex(),
                "recipient": order.recipient.lower(),
                "units": str(order.units),
            },
        },
        "l2": {
            "block": {"hash": l2.block_hash.hex(), "header": l2.header.hex()},
            "chain_id": l2.chain_id,
            "controller": l2.controller.lower(),
            "informative": {
                "allowed_signers": [s.lower() for s in l2.allowed_signers],
                "clearance_threshold": l2.clearance_threshold,
            },
            "receipt": {"proof": [n.hex() for n in l2.receipt_proof], "raw": l2.receipt.hex()},
            "transaction": {
                "index": l2.transaction_index,
                "proof": [n.hex() for n in l2.transaction_proof],
                "raw": l2.transaction.hex(),
            },
        },
        "mainland": {
            "checkpoints": [_certified_json(c) for c in checkpoints],
            "claims": [_packet_json(p, checkpoints) for p in bundle.packets],
            "genesis": bundle.genesis.to_json(),
            "rotations": [_rotation_json(r) for r in bundle.rotations],
        },
    }


def _certified_json(certified: CertifiedCheckpoint) -> dict[str, Json]:
    c = certified.checkpoint
    return {
        "bitmap": f"{certified.certificate.bitmap:016x}",
        "epoch": c.epoch,
        "header_hash": c.header_hash.hex(),
        "height": c.height,
        "log_root": c.log_root.hex(),
        "log_size": c.log_size,
        "next_validators_hash": c.next_validators_hash.hex(),
        "signatures": [s.hex() for s in certified.certificate.signatures],
        "time_ms": c.time_ms,
    }


def _certified(raw: dict[str, Any], chain_id: bytes) -> CertifiedCheckpoint:
    checkpoint = Checkpoint(
        chain_id,
        raw["epoch"],
        raw["height"],
        raw["time_ms"],
        raw["log_size"],
        _bytes(raw["log_root"]),
        _bytes(raw["header_hash"]),
        _bytes(raw["next_validators_hash"]),
    )
    certificate = QuorumCertificate(int(raw["bitmap"], 16), tuple(_bytes(s) for s in raw["signatures"]))
    return CertifiedCheckpoint(checkpoint, certificate)


def _rotation_json(rotation: Rotation) -> dict[str, Json]:
    return {
        "checkpoint": _certified_json(rotation.certified),
        "next_members": [
            {"org_id": m.org_id.hex(), "public_key": m.public_key.hex()} for m in rotation.next_set.members
        ],
    }


def _rotation(raw: dict[str, Any], chain_id: bytes) -> Rotation:
    certified = _certified(raw["checkpoint"], chain_id)
    members = tuple(Validator(_bytes(m["org_id"]), _bytes(m["public_key"])) for m in raw["next_members"])
    return Rotation(certified, ValidatorSet(chain_id, certified.checkpoint.epoch + 1, members))


def _packet_json(packet: Packet, checkpoints: list[CertifiedCheckpoint]) -> dict[str, Json]:
    return {
        "checkpoint": checkpoints.index(packet.checkpoint),
        "claim": packet.claim.hex(),
        "inclusion_path": [h.hex() for h in packet.inclusion_path],
        "log_index": packet.log_index,
        "openings": [
            {
                "index": o.index,
                "name": o.name,
                "path": [h.hex() for h in o.path],
                "salt": o.salt.hex(),
                "size": o.size,
                "value": o.value.hex(),
            }
            for o in packet.openings
        ],
    }


def _packet(raw: dict[str, Any], certified: list[CertifiedCheckpoint], rotations: tuple[Rotation, ...]) -> Packet:
    if raw["checkpoint"] >= len(certified):
        raise Rejected("BAD_BUNDLE", "a claim names a checkpoint that is not there")
    checkpoint = certified[raw["checkpoint"]]
    epoch = checkpoint.checkpoint.epoch
    is_rotation = len(rotations) > epoch and rotations[epoch].certified == checkpoint
    return Packet(
        _bytes(raw["claim"]),
        raw["log_index"],
        tuple(_bytes(h) for h in raw["inclusion_path"]),
        checkpoint,
        rotations[: epoch + 1 if is_rotation else epoch],
        tuple(
            FieldOpening(
                o["name"],
                _bytes(o["value"]),
                _bytes(o["salt"]),
                o["index"],
                o["size"],
                tuple(_bytes(h) for h in o["path"]),
            )
            for o in raw["openings"]
        ),
    )


def _order(raw: dict[str, Any]) -> MintOrder:
    return MintOrder(
        _bytes(raw["order_id"]), _bytes(raw["lock_ref"]), raw["recipient"], int(raw["units"]), raw["deadline"]
    )


def _l2(raw: dict[str, Any]) -> L2Evidence:
    transaction, receipt = raw["transaction"], raw["receipt"]
    return L2Evidence(
        raw["chain_id"],
        raw["controller"],
        _bytes(raw["block"]["header"]),
        _bytes(raw["block"]["hash"]),
        _bytes(transaction["raw"]),
        transaction["index"],
        tuple(_bytes(n) for n in transaction["proof"]),
        _bytes(receipt["raw"]),
        tuple(_bytes(n) for n in receipt["proof"]),
        tuple(raw["informative"]["allowed_signers"]),
        raw["informative"]["clearance_threshold"],
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)
