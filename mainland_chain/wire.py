"""Transactions: protobuf bytes to dataclasses, strictly, and back. The one place where the transaction stubs are imported."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Any

from google.protobuf.message import DecodeError, Message
from lianqiao.ledger.v1 import transaction_pb2 as pb

from lianqiao_base import canonical
from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.export.decision import ExportDecision, SignedExportDecision
from mainland_chain.export.policy import ExportDestination, ExportPolicy, FieldRule
from mainland_chain.light.claims import Transform
from mainland_chain.records.reading import Reading
from mainland_chain.records.record import SealedField
from mainland_chain.state.entities import Role, SigningMode
from mainland_chain.state.refusals import MalformedTransaction
from mainland_chain.state.transactions import (
    AdmitMember,
    Approval,
    Body,
    LockUnits,
    ParsedTransaction,
    PublishExportPolicy,
    RegisterAsset,
    RegisterDevice,
    RequestExport,
    SubmitTelemetry,
)

MAX_TRANSACTION_BYTES = 512 * 1024
MAX_NAME = 200
MAX_ITEMS = 4096
"""Items of one list. Far above what any rule allows; an empty item takes two bytes on the wire and a hundred times that here."""


def transaction_hash(transaction: bytes) -> bytes:
    """Identity of a transaction: `SM3(0x00 ‖ transaction bytes)`."""
    return sm3(b"\x00" + transaction)


def serialize(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _strict(message: Any, data: bytes) -> Any:
    """Parse and demand that the bytes are the only serialization of their content: no unknown fields, no reordering."""
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise MalformedTransaction("not a protobuf message of the expected type") from error
    message.DiscardUnknownFields()
    if serialize(message) != data:
        raise MalformedTransaction(
            "unknown fields or a non-canonical serialization", hint="serialize deterministically, without extra fields"
        )
    return message


def signed_bytes(transaction: bytes, signature: bytes) -> bytes:
    """Serialized SignedTransaction."""
    return serialize(pb.SignedTransaction(transaction=transaction, signature=signature))


def parse(raw: bytes) -> ParsedTransaction:
    """Strict inverse. Raises `MalformedTransaction`."""
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise MalformedTransaction(f"{len(raw)} bytes; at most {MAX_TRANSACTION_BYTES} are allowed")
    signed = _strict(pb.SignedTransaction(), raw)
    tx = _strict(pb.Transaction(), signed.transaction)
    kind = tx.WhichOneof("body")
    if kind is None:
        raise MalformedTransaction("the transaction has no body")
    message = getattr(tx, kind)
    for field, value in message.ListFields():
        if isinstance(value, MutableSequence) and len(value) > MAX_ITEMS:
            raise MalformedTransaction(f"{len(value)} items of {field.name}; at most {MAX_ITEMS} are allowed")
    try:
        body = _BODIES[kind](message)
    except Rejected as error:
        if isinstance(error, MalformedTransaction):
            raise
        raise MalformedTransaction(error.message) from error
    except (ValueError, OverflowError) as error:
        raise MalformedTransaction(f"{kind}: {error}") from error
    return ParsedTransaction(
        raw=raw,
        transaction=signed.transaction,
        signature=signed.signature,
        tx_hash=transaction_hash(signed.transaction),
        chain_id=tx.chain_id,
        signer=_name(tx.signer),
        nonce=tx.nonce,
        body=body,
    )


def _approvals(message: Any) -> tuple[tuple[Approval, ...], bytes]:
    approvals = tuple(Approval(_name(a.member_id), a.signature) for a in message.approvals)
    return approvals, approved_bytes(message)


def approved_bytes(message: pb.AdmitMember | pb.PublishExportPolicy) -> bytes:
    """The body without its approvals: what core members sign."""
    copy = type(message)()
    copy.CopyFrom(message)  # type: ignore[arg-type]
    copy.ClearField("approvals")
    return serialize(copy)


def _admit_member(m: pb.AdmitMember) -> AdmitMember:
    approvals, approved = _approvals(m)
    return AdmitMember(
        _name(m.member_id),
        _name(m.organisation_id),
        m.organisation_name,
        Role(m.role),
        m.qualification_reference,
        m.public_key,
        m.possession_proof,
        m.tls_fingerprint,
        approvals,
        approved,
    )


def _register_device(m: pb.RegisterDevice) -> RegisterDevice:
    return RegisterDevice(
        _name(m.device_id),
        _name(m.asset_id),
        m.public_key,
        m.possession_proof,
        m.manufacturer,
        m.model,
        m.serial,
        m.rated_power_w,
        m.interval_ms,
        SigningMode(m.signing_mode),
        _seed(m.record_seed),
    )


def _register_asset(m: pb.RegisterAsset) -> RegisterAsset:
    return RegisterAsset(
        _name(m.asset_id),
        m.profile,
        m.plant_name,
        m.capacity_w,
        m.division_code,
        m.commissioning_date,
        m.legal_owner,
        m.unit_count,
        tuple(SealedField(f.name, f.leaf, f.ciphertext) for f in m.sealed),
        _seed(m.record_seed),
    )


def _submit_telemetry(m: pb.SubmitTelemetry) -> SubmitTelemetry:
    readings = tuple(
        Reading(r.sequence, r.time_ms, r.energy_wh, r.power_w, r.irradiance_w_m2, r.flags) for r in m.readings
    )
    encoded = tuple([r.encode() for r in readings])
    return SubmitTelemetry(_name(m.device_id), readings, encoded, tuple(m.signatures), _seed(m.record_seed))


def _lock_units(m: pb.LockUnits) -> LockUnits:
    return LockUnits(
        _name(m.lock_id),
        _name(m.asset_id),
        m.units,
        m.destination,
        m.issuer,
        m.filing_reference,
        m.expires_at_ms,
        _seed(m.record_seed),
    )


def _publish(m: pb.PublishExportPolicy) -> PublishExportPolicy:
    approvals, approved = _approvals(m)
    policy = ExportPolicy(
        m.version,
        m.effective_from_ms,
        m.effective_to_ms,
        tuple(
            ExportDestination(d.destination, d.l2_chain_id, d.mint_controller, d.pseudonym_key) for d in m.destinations
        ),
        tuple(m.gate_keys),
        tuple(FieldRule(r.record_type, r.field, Transform(r.transform), r.parameter) for r in m.rules),
    )
    return PublishExportPolicy(policy, approvals, approved)


def _request_export(m: pb.RequestExport) -> RequestExport:
    decision = decode_decision(m.decision)
    return RequestExport(
        m.claim_kind,
        tuple(m.record_ids),
        tuple(m.fields),
        m.destination,
        SignedExportDecision(decision, m.gate_public_key, m.gate_signature),
    )


def decode_decision(data: bytes) -> ExportDecision:
    """The decision in canonical JSON. Raises `Rejected`."""
    value = canonical.loads_strict(data)
    try:
        if not isinstance(value, dict):
            raise TypeError("not an object")
        decision = ExportDecision(
            verdict=_typed(value["verdict"], str),
            claim_kind=_typed(value["claim_kind"], str),
            record_ids=tuple(bytes.fromhex(r) for r in value["record_ids"]),
            fields=tuple(_typed(f, str) for f in value["fields"]),
            destination=bytes.fromhex(value["destination"]),
            policy_version=_typed(value["policy_version"], int),
            filing_reference=_typed(value["filing_reference"], str),
            approval_reference=_typed(value["approval_reference"], str),
            approval_valid_until_ms=_typed(value["approval_valid_until_ms"], int),
            decision_hash=bytes.fromhex(value["decision_hash"]),
            issued_at_ms=_typed(value["issued_at_ms"], int),
            valid_until_ms=_typed(value["valid_until_ms"], int),
            values_hash=bytes.fromhex(value["values_hash"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Rejected("BAD_DECISION", "not an export decision") from error
    if decision.canonical_bytes() != data or not len(decision.decision_hash) == len(decision.values_hash) == 32:
        raise Rejected("BAD_DECISION", "not the canonical form of an export decision")
    return decision


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"not {kind.__name__}")
    return value


def _name(value: str) -> str:
    """A name that the state is asked for. Whether it is a good identifier, the rules say; a database must only be able to look it up."""
    if len(value) > MAX_NAME or not value.isprintable():
        raise MalformedTransaction(f"a name has at most {MAX_NAME} printable characters")
    return value


def _seed(seed: bytes) -> bytes:
    if len(seed) != 32:
        raise MalformedTransaction("record_seed must have 32 bytes")
    return seed


_BODIES: dict[str, Callable[[Any], Body]] = {
    "admit_member": _admit_member,
    "register_device": _register_device,
    "register_asset": _register_asset,
    "submit_telemetry": _submit_telemetry,
    "lock_units": _lock_units,
    "publish_export_policy": _publish,
    "request_export": _request_export,
}
