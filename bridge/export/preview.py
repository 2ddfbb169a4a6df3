"""What a claim will show, computed before anything is asked, with the very code that validators run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from compliance.export.model import ExportedValue, PolicyView
from lianqiao_base.errors import Rejected
from mainland_chain.client import RecordView
from mainland_chain.export.claims import (
    RECORD_TYPES,
    ClaimContext,
    asset_claim,
    shown_values,
    telemetry_claim,
    unit_lock_claim,
)
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.light.claims import Claim
from mainland_chain.light.packet import FieldOpening
from mainland_chain.log.hashing import SM3
from mainland_chain.log.tree import merkle_path
from mainland_chain.records.record import PlainField, Record, SealedField
from mainland_chain.records.schemas import SCHEMAS

_NO_SEED = bytes(32)


def record_of(view: RecordView) -> Record:
    """The values of a record as its owner sees it. The seed is not known here, so its root and leaves must not be used."""
    fields: list[PlainField | SealedField] = []
    for f in view.fields:
        if f.encoded_value:
            fields.append(PlainField(f.name, f.encoded_value))
        elif f.grade == "high":
            fields.append(SealedField(f.name, f.leaf, f.ciphertext or b"\x00"))
        else:
            raise Rejected(
                "RECORD_MASKED",
                "this member sees the record masked",
                subject=f.name,
                hint="export with a member of the organisation that owns the record",
            )
    return Record(view.record_type, _NO_SEED, tuple(fields))


def preview_claim(
    kind: str,
    context: ClaimContext,
    views: Sequence[RecordView],
    fields: Sequence[str],
    cumulative_before_wh: int,
) -> Claim:
    """The claim that the ledger would log, except for its roots and its place. Raises `Rejected("FIELD_NOT_ALLOWED")`."""
    records = [record_of(v) for v in views]
    if kind not in RECORD_TYPES or not records or any(r.record_type != RECORD_TYPES[kind] for r in records):
        raise Rejected("WRONG_RECORD_TYPE", f"a {kind} is computed from {RECORD_TYPES.get(kind, 'nothing')} records")
    if kind == "TelemetryClaim":
        return telemetry_claim(context, records, fields, cumulative_before_wh, 0)
    if kind == "AssetClaim":
        return asset_claim(context, records[0], fields)
    return unit_lock_claim(context, records[0], fields)


def gate_values(claim: Claim) -> tuple[ExportedValue, ...]:
    """The claim's values in the form the gate scans."""
    return tuple(ExportedValue(v.name, v.value, v.counted) for v in shown_values(claim))


def gate_policy(policy: ExportPolicy) -> PolicyView:
    """What the gate needs of the ledger's policy."""
    fields = {
        kind: frozenset(r.field for r in policy.rules if r.record_type == record_type)
        for kind, record_type in RECORD_TYPES.items()
    }
    return PolicyView(
        version=policy.version,
        effective_from_ms=policy.effective_from_ms,
        effective_to_ms=policy.effective_to_ms,
        destinations=frozenset(d.destination for d in policy.destinations),
        fields=fields,
    )


def openings(view: RecordView, names: Sequence[str]) -> tuple[FieldOpening, ...]:
    """Openings of the named fields against the record root, in leaf order."""
    leaves = [f.leaf for f in view.fields]
    known = {s.name for s in SCHEMAS[view.record_type].fields}
    return tuple(
        FieldOpening(f.name, f.encoded_value, f.salt, i, len(leaves), merkle_path(SM3, leaves, i))
        for i, f in enumerate(view.fields)
        if f.name in names and f.name in known
    )
