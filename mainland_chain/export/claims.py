"""Computation of claims from records under a policy. Every validator runs this on its own copy of the records; nobody is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.export.decision import values_hash
from mainland_chain.export.policy import ExportDestination, ExportPolicy, FieldRule
from mainland_chain.export.transforms import aggregate, pseudonym, transform_value
from mainland_chain.light.claims import (
    CLAIM_TYPES,
    AssetClaim,
    Claim,
    ClaimEnvelope,
    ExportedField,
    TelemetryClaim,
    Transform,
    UnitLockClaim,
)
from mainland_chain.log.hashing import SM3
from mainland_chain.log.tree import merkle_root
from mainland_chain.records.reading import Reading, readings_of
from mainland_chain.records.record import Record
from mainland_chain.records.schemas import FieldType, schema

# What the fixed part of each claim shows. Without exactly these rules in the policy the claim cannot be made.
REQUIRED: dict[str, tuple[tuple[str, str, Transform], ...]] = {
    "AssetClaim": (
        ("asset", "asset_id", Transform.PSEUDONYM),
        ("asset", "profile", Transform.KEEP),
        ("asset", "unit_count", Transform.KEEP),
    ),
    "TelemetryClaim": (
        ("asset", "asset_id", Transform.PSEUDONYM),
        ("telemetry", "energy_wh", Transform.SUM),
        ("telemetry", "interval_end_ms", Transform.KEEP),
        ("telemetry", "interval_start_ms", Transform.KEEP),
        ("telemetry", "readings", Transform.COUNT),
    ),
    "UnitLockClaim": (
        ("asset", "asset_id", Transform.PSEUDONYM),
        ("lock", "expires_at_ms", Transform.KEEP),
        ("lock", "filing_reference", Transform.KEEP),
        ("lock", "issuer", Transform.KEEP),
        ("lock", "lock_id", Transform.PSEUDONYM),
        ("lock", "units", Transform.KEEP),
    ),
}
RECORD_TYPES = {"AssetClaim": "asset", "TelemetryClaim": "telemetry", "UnitLockClaim": "lock"}


@dataclass(frozen=True, slots=True)
class ClaimContext:
    """What a claim takes from the policy, the decision and the block."""

    chain_id: bytes
    policy: ExportPolicy
    destination: ExportDestination
    decision_hash: bytes
    approval_valid_until_ms: int
    height: int
    time_ms: int


def asset_ref(destination: ExportDestination, asset_id: str) -> bytes:
    """The asset's name at one destination."""
    return pseudonym(destination.pseudonym_key, "asset", asset_id)


def lock_ref(destination: ExportDestination, lock_id: str) -> bytes:
    """The lock's name at one destination."""
    return pseudonym(destination.pseudonym_key, "lock", lock_id)


def require_rules(kind: str, policy: ExportPolicy) -> None:
    """Raise `Rejected("FIELD_NOT_ALLOWED")` unless the policy allows what the fixed part of the claim shows."""
    for record_type, field, transform in REQUIRED[kind]:
        rule = policy.rule(record_type, field)
        if rule is None or rule.transform is not transform:
            raise Rejected(
                "FIELD_NOT_ALLOWED",
                f"a {kind} needs {record_type}.{field} under {transform.name}, the policy does not give it",
                subject=f"{record_type}.{field}",
            )


def _rule(context: ClaimContext, record_type: str, field: str) -> FieldRule:
    rule = context.policy.rule(record_type, field)
    if rule is None:
        raise Rejected(
            "FIELD_NOT_ALLOWED",
            f"policy {context.policy.version} drops {record_type}.{field}",
            subject=f"{record_type}.{field}",
            hint="leave the field out of the request",
        )
    return rule


def _envelope(kind: type[Claim], context: ClaimContext, asset_id: str, evidence_root: bytes) -> ClaimEnvelope:
    return ClaimEnvelope(
        claim_type=CLAIM_TYPES[kind],
        chain_id=context.chain_id,
        destination=context.destination.destination,
        asset_ref=asset_ref(context.destination, asset_id),
        policy_version=context.policy.version,
        decision_hash=context.decision_hash,
        evidence_root=evidence_root,
        height=context.height,
        time_ms=context.time_ms,
    )


def _single(context: ClaimContext, record: Record, fields: Sequence[str]) -> tuple[ExportedField, ...]:
    out = []
    for name in fields:
        rule = _rule(context, record.record_type, name)
        text = transform_value(rule, record.value(name), context.destination.pseudonym_key)
        out.append(ExportedField(name, rule.transform, text))
    return tuple(out)


def asset_claim(context: ClaimContext, record: Record, fields: Sequence[str]) -> AssetClaim:
    """Claim over one asset record."""
    require_rules("AssetClaim", context.policy)
    return AssetClaim(
        envelope=_envelope(AssetClaim, context, record.text("asset_id"), record.root),
        profile=keccak256(record.text("profile").encode()),
        unit_count=record.integer("unit_count"),
        fields=_single(context, record, fields),
    )


def unit_lock_claim(context: ClaimContext, record: Record, fields: Sequence[str]) -> UnitLockClaim:
    """Claim over one lock record."""
    require_rules("UnitLockClaim", context.policy)
    return UnitLockClaim(
        envelope=_envelope(UnitLockClaim, context, record.text("asset_id"), record.root),
        lock_ref=lock_ref(context.destination, record.text("lock_id")),
        units=record.integer("units"),
        issuer=record.binary("issuer"),
        filing_reference=record.text("filing_reference"),
        approval_expiry_ms=context.approval_valid_until_ms,
        expiry_ms=record.integer("expires_at_ms"),
        fields=_single(context, record, fields),
    )


def telemetry_claim(
    context: ClaimContext,
    records: Sequence[Record],
    fields: Sequence[str],
    cumulative_before_wh: int,
    flagged_count: int,
) -> TelemetryClaim:
    """Claim over consecutive batches of one asset."""
    require_rules("TelemetryClaim", context.policy)
    readings = [reading for record in records for reading in readings_of(record)]
    energy = aggregate(_rule(context, "telemetry", "energy_wh"), [r.energy_wh for r in readings])
    return TelemetryClaim(
        envelope=_envelope(
            TelemetryClaim, context, records[0].text("asset_id"), merkle_root(SM3, [r.root for r in records])
        ),
        interval_start_ms=min(r.integer("interval_start_ms") for r in records),
        interval_end_ms=max(r.integer("interval_end_ms") for r in records),
        energy_wh=energy,
        cumulative_energy_wh=cumulative_before_wh + energy,
        reading_count=len(readings),
        flagged_count=flagged_count,
        fields=tuple(_interval_field(context, name, readings) for name in fields),
    )


def _interval_field(context: ClaimContext, name: str, readings: Sequence[Reading]) -> ExportedField:
    rule = _rule(context, "telemetry", name)
    if schema("telemetry").field(name).type is not FieldType.READING or name not in Reading._fields:
        raise Rejected("FIELD_NOT_ALLOWED", "only columns of the readings can be aggregated", subject=name)
    return ExportedField(name, rule.transform, str(aggregate(rule, [getattr(r, name) for r in readings])))


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One value that a claim shows in Hong Kong. `counted` marks what the claim itself counts or sums."""

    name: str
    value: str
    counted: bool = False


def shown_values(claim: Claim) -> tuple[ShownValue, ...]:
    """Every value of a claim that is not a hash, a reference or an address: what an export gate must look at."""
    extra = tuple(ShownValue(f.name, f.value, f.transform in _COUNTED) for f in claim.fields)
    if isinstance(claim, AssetClaim):
        return (ShownValue("unit_count", str(claim.unit_count), counted=True), *extra)
    if isinstance(claim, UnitLockClaim):
        counted = ("units", "approval_expiry_ms", "expiry_ms")
        return (
            ShownValue("filing_reference", claim.filing_reference),
            *(ShownValue(name, str(getattr(claim, name)), counted=True) for name in counted),
            *extra,
        )
    sums = (
        "interval_start_ms",
        "interval_end_ms",
        "energy_wh",
        "cumulative_energy_wh",
        "reading_count",
        "flagged_count",
    )
    return (*(ShownValue(name, str(getattr(claim, name)), counted=True) for name in sums), *extra)


_COUNTED = frozenset({Transform.SUM, Transform.COUNT, Transform.MIN, Transform.MAX})


def claim_values_hash(claim: Claim) -> bytes:
    """`values_hash` of what a claim shows."""
    return values_hash((v.name, v.value) for v in shown_values(claim))
