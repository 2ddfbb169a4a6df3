"""Transactions as the state machine sees them. `mainland_chain.wire` makes them from bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainland_chain.export.decision import SignedExportDecision
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.records.reading import Reading, telemetry_record
from mainland_chain.records.record import Record, SealedField
from mainland_chain.state.entities import Role, SigningMode


@dataclass(frozen=True, slots=True)
class Approval:
    """A core member's consent to a governance transaction."""

    member_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class AdmitMember:
    member_id: str
    organisation_id: str
    organisation_name: str
    role: Role
    qualification_reference: str
    public_key: bytes
    possession_proof: bytes
    tls_fingerprint: bytes
    approvals: tuple[Approval, ...]
    approved_bytes: bytes
    """The body without approvals: what an approval is about."""


@dataclass(frozen=True, slots=True)
class RegisterDevice:
    device_id: str
    asset_id: str
    public_key: bytes
    possession_proof: bytes
    manufacturer: str
    model: str
    serial: str
    rated_power_w: int
    interval_ms: int
    signing_mode: SigningMode
    record_seed: bytes


@dataclass(frozen=True, slots=True)
class RegisterAsset:
    asset_id: str
    profile: str
    plant_name: str
    capacity_w: int
    division_code: str
    commissioning_date: str
    legal_owner: str
    unit_count: int
    sealed: tuple[SealedField, ...]
    record_seed: bytes


@dataclass(frozen=True, slots=True)
class SubmitTelemetry:
    device_id: str
    readings: tuple[Reading, ...]
    encoded: tuple[bytes, ...]
    """`Reading.encode()` of each."""
    signatures: tuple[bytes, ...]
    record_seed: bytes
    _memo: dict[tuple[str, int], Record] = field(default_factory=dict, compare=False, repr=False)

    def record(self, asset_id: str, interval_start_ms: int) -> Record:
        """The batch's record. Built once per transaction: checking and executing it need the same hundreds of leaves."""
        key = (asset_id, interval_start_ms)
        found = self._memo.get(key)
        if found is None:
            found = telemetry_record(
                self.record_seed, asset_id, self.device_id, interval_start_ms, self.readings, self.encoded
            )
            self._memo.clear()
            self._memo[key] = found
        return found


@dataclass(frozen=True, slots=True)
class LockUnits:
    lock_id: str
    asset_id: str
    units: int
    destination: bytes
    issuer: bytes
    filing_reference: str
    expires_at_ms: int
    record_seed: bytes


@dataclass(frozen=True, slots=True)
class PublishExportPolicy:
    policy: ExportPolicy
    approvals: tuple[Approval, ...]
    approved_bytes: bytes


@dataclass(frozen=True, slots=True)
class RequestExport:
    claim_kind: str
    record_ids: tuple[bytes, ...]
    fields: tuple[str, ...]
    destination: bytes
    decision: SignedExportDecision


Body = AdmitMember | RegisterDevice | RegisterAsset | SubmitTelemetry | LockUnits | PublishExportPolicy | RequestExport


@dataclass(frozen=True, slots=True)
class ParsedTransaction:
    """A transaction, its identity and the bytes it came from."""

    raw: bytes
    """Serialized SignedTransaction."""
    transaction: bytes
    """The signed bytes."""
    signature: bytes
    tx_hash: bytes
    chain_id: bytes
    signer: str
    nonce: int
    body: Body
