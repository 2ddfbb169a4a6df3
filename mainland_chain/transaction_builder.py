"""Build and sign transactions: what a member's own software does before it submits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lianqiao.ledger.v1 import transaction_pb2 as pb

from mainland_chain.crypto.protocols import Signer, sign
from mainland_chain.export.decision import SignedExportDecision
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.records.reading import Reading, batch_message, reading_message
from mainland_chain.records.record import SealedField
from mainland_chain.state.entities import Role, SigningMode
from mainland_chain.state.signatures import approval_message, possession_message, transaction_message
from mainland_chain.wire import approved_bytes, serialize, signed_bytes, transaction_hash


@dataclass(frozen=True, slots=True)
class BuiltTransaction:
    """Ready to submit. `raw` is the serialized SignedTransaction."""

    raw: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class Approver:
    """A core member that approves governance transactions."""

    member_id: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class TransactionBuilder:
    """Signs for one member on one ledger. `next_nonce` gives a strictly rising number, e.g. the clock in microseconds."""

    chain_id: bytes
    member_id: str
    signer: Signer
    next_nonce: Callable[[], int]

    def _build(self, **body: object) -> BuiltTransaction:
        nonce = 0 if "submit_telemetry" in body else self.next_nonce()
        tx = pb.Transaction(chain_id=self.chain_id, signer=self.member_id, nonce=nonce, **body)  # type: ignore[arg-type]
        raw = serialize(tx)
        signature = sign(self.signer, transaction_message(self.chain_id, raw))
        return BuiltTransaction(signed_bytes(raw, signature), transaction_hash(raw))

    def admit_member(
        self,
        *,
        member_id: str,
        organisation_id: str,
        organisation_name: str,
        role: Role,
        qualification_reference: str,
        key: Signer,
        tls_fingerprint: bytes,
        approvers: Sequence[Approver],
    ) -> BuiltTransaction:
        """`key` proves possession; `approvers` are more than two thirds of the core organisations."""
        body = pb.AdmitMember(
            member_id=member_id,
            organisation_id=organisation_id,
            organisation_name=organisation_name,
            role=role.value,  # type: ignore[arg-type]
            qualification_reference=qualification_reference,
            public_key=key.public_key,
            possession_proof=sign(key, possession_message(self.chain_id, key.public_key, member_id)),
            tls_fingerprint=tls_fingerprint,
        )
        self._approve(body, approvers)
        return self._build(admit_member=body)

    def register_asset(
        self,
        *,
        asset_id: str,
        plant_name: str,
        capacity_w: int,
        division_code: str,
        commissioning_date: str,
        legal_owner: str,
        unit_count: int,
        sealed: Sequence[SealedField] = (),
        profile: str = "pv_revenue_right",
    ) -> BuiltTransaction:
        """Sealed fields come from `mainland_chain.records.sealing.seal_field`."""
        body = pb.RegisterAsset(
            asset_id=asset_id,
            profile=profile,
            plant_name=plant_name,
            capacity_w=capacity_w,
            division_code=division_code,
            commissioning_date=commissioning_date,
            legal_owner=legal_owner,
            unit_count=unit_count,
            sealed=[pb.SealedField(name=f.name, leaf=f.leaf, ciphertext=f.ciphertext) for f in sealed],
            record_seed=secrets.token_bytes(32),
        )
        return self._build(register_asset=body)

    def register_device(
        self,
        *,
        device_id: str,
        asset_id: str,
        device_key: Signer,
        manufacturer: str,
        model: str,
        serial: str,
        rated_power_w: int,
        interval_ms: int,
        signing_mode: SigningMode,
    ) -> BuiltTransaction:
        body = pb.RegisterDevice(
            device_id=device_id,
            asset_id=asset_id,
            public_key=device_key.public_key,
            possession_proof=sign(device_key, possession_message(self.chain_id, device_key.public_key, device_id)),
            manufacturer=manufacturer,
            model=model,
            serial=serial,
            rated_power_w=rated_power_w,
            interval_ms=interval_ms,
            signing_mode=signing_mode.value,  # type: ignore[arg-type]
            record_seed=secrets.token_bytes(32),
        )
        return self._build(register_device=body)

    def submit_telemetry(
        self, *, device_id: str, device_key: Signer, signing_mode: SigningMode, readings: Sequence[Reading]
    ) -> BuiltTransaction:
        """Device and gateway in one: the device signs its readings, the member signs the transaction."""
        encoded = [r.encode() for r in readings]
        if signing_mode is SigningMode.READING:
            signatures = [sign(device_key, reading_message(self.chain_id, device_id, e)) for e in encoded]
        else:
            signatures = [sign(device_key, batch_message(self.chain_id, device_id, encoded))]
        return self.forward_telemetry(device_id=device_id, readings=readings, signatures=signatures)

    def forward_telemetry(
        self, *, device_id: str, readings: Sequence[Reading], signatures: Sequence[bytes]
    ) -> BuiltTransaction:
        """Readings that a device signed elsewhere."""
        body = pb.SubmitTelemetry(
            device_id=device_id,
            readings=[
                pb.Reading(
                    sequence=r.sequence,
                    time_ms=r.time_ms,
                    energy_wh=r.energy_wh,
                    power_w=r.power_w,
                    irradiance_w_m2=r.irradiance_w_m2,
                    flags=r.flags,
                )
                for r in readings
            ],
            signatures=signatures,
            record_seed=secrets.token_bytes(32),
        )
        return self._build(submit_telemetry=body)

    def lock_units(
        self,
        *,
        lock_id: str,
        asset_id: str,
        units: int,
        destination: bytes,
        issuer: bytes,
        filing_reference: str,
        expires_at_ms: int,
    ) -> BuiltTransaction:
        body = pb.LockUnits(
            lock_id=lock_id,
            asset_id=asset_id,
            units=units,
            destination=destination,
            issuer=issuer,
            filing_reference=filing_reference,
            expires_at_ms=expires_at_ms,
            record_seed=secrets.token_bytes(32),
        )
        return self._build(lock_units=body)

    def publish_policy(self, policy: ExportPolicy, approvers: Sequence[Approver]) -> BuiltTransaction:
        body = pb.PublishExportPolicy(
            version=policy.version,
            effective_from_ms=policy.effective_from_ms,
            effective_to_ms=policy.effective_to_ms,
            destinations=[
                pb.ExportDestination(
                    destination=d.destination,
                    l2_chain_id=d.l2_chain_id,
                    mint_controller=d.mint_controller,
                    pseudonym_key=d.pseudonym_key,
                )
                for d in policy.destinations
            ],
            gate_keys=policy.gate_keys,
            rules=[
                pb.FieldRule(
                    record_type=r.record_type,
                    field=r.field,
                    transform=r.transform.value,  # type: ignore[arg-type]
                    parameter=r.parameter,
                )
                for r in policy.rules
            ],
        )
        self._approve(body, approvers)
        return self._build(publish_export_policy=body)

    def request_export(self, signed: SignedExportDecision) -> BuiltTransaction:
        """Exactly the request that the gate decided about."""
        decision = signed.decision
        body = pb.RequestExport(
            claim_kind=decision.claim_kind,
            record_ids=decision.record_ids,
            fields=decision.fields,
            destination=decision.destination,
            decision=decision.canonical_bytes(),
            gate_public_key=signed.gate_public_key,
            gate_signature=signed.signature,
        )
        return self._build(request_export=body)

    def _approve(self, body: pb.AdmitMember | pb.PublishExportPolicy, approvers: Sequence[Approver]) -> None:
        message = approval_message(self.chain_id, approved_bytes(body))
        for approver in approvers:
            body.approvals.add(member_id=approver.member_id, signature=sign(approver.signer, message))
