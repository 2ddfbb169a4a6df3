"""Rules for export requests: the gate's decision must cover exactly this request, and the ledger computes the claim itself."""

from __future__ import annotations

from dataclasses import dataclass

from lianqiao_base.errors import Rejected
from mainland_chain.export.claims import (
    RECORD_TYPES,
    ClaimContext,
    asset_claim,
    claim_values_hash,
    telemetry_claim,
    unit_lock_claim,
)
from mainland_chain.export.decision import ExportDecision
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.light.claims import Claim
from mainland_chain.records.record import Record, decode_record
from mainland_chain.state.entities import Batch, Exported, Member, TelemetryExport
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.transactions import RequestExport
from mainland_chain.state.view import POLICY, Overlay, StateReader, batch_key, exported_key, read, telemetry_export_key

MAX_RECORDS = 366


@dataclass(frozen=True, slots=True)
class BlockPoint:
    """Where the export happens: chain, height, time (ms UTC) and the log index that the claim will get."""

    chain_id: bytes
    height: int
    time_ms: int
    log_index: int


def _refuse(refusal: Refusal, message: str, subject: str = "", hint: str = "") -> TransactionRefused:
    return TransactionRefused(refusal, message, subject=subject, hint=hint)


def _check_decision(request: RequestExport, decision: ExportDecision, policy: ExportPolicy, now_ms: int) -> None:
    if request.decision.gate_public_key not in policy.gate_keys:
        raise _refuse(Refusal.UNKNOWN_GATE, "the policy does not name this export gate")
    if decision.verdict != "ALLOW":
        raise _refuse(Refusal.DECISION_NOT_ALLOW, f"the gate decided {decision.verdict}")
    asked = (request.claim_kind, request.record_ids, request.fields, request.destination, policy.version)
    decided = (
        decision.claim_kind,
        decision.record_ids,
        decision.fields,
        decision.destination,
        decision.policy_version,
    )
    if asked != decided:
        raise _refuse(
            Refusal.DECISION_MISMATCH,
            "the gate decided about another request or policy version",
            hint="ask the gate again about exactly this request",
        )
    if not decision.issued_at_ms <= decision.valid_until_ms or now_ms >= decision.valid_until_ms:
        raise _refuse(Refusal.DECISION_LAPSED, "the decision is no longer valid", hint="ask the gate again")
    if now_ms >= decision.approval_valid_until_ms:
        raise _refuse(
            Refusal.APPROVAL_LAPSED, "the export approval has lapsed", decision.approval_reference, "renew the approval"
        )
    if not decision.filing_reference.strip() or not decision.approval_reference.strip():
        raise _refuse(Refusal.FILING_MISSING, "the decision names no filing or no approval")


def _records(reader: StateReader, request: RequestExport, member: Member) -> list[Record]:
    ids = request.record_ids
    if len(set(ids)) != len(ids):
        raise _refuse(Refusal.RECORD_NAMED_TWICE, "a record is named twice")
    single = request.claim_kind != "TelemetryClaim"
    if not ids or len(ids) > (1 if single else MAX_RECORDS):
        raise _refuse(Refusal.WRONG_RECORD_COUNT, f"{len(ids)} records for a {request.claim_kind}")
    records = []
    for record_id in ids:
        stored = reader.record(record_id)
        if stored is None:
            raise _refuse(Refusal.UNKNOWN_RECORD, "no such record", record_id.hex())
        if stored.organisation_id != member.organisation_id:
            raise _refuse(Refusal.NOT_THE_OWNER, "the record belongs to another organisation", record_id.hex())
        if stored.record_type != RECORD_TYPES[request.claim_kind]:
            raise _refuse(
                Refusal.WRONG_RECORD_TYPE, f"a {stored.record_type} record for a {request.claim_kind}", record_id.hex()
            )
        records.append(decode_record(stored.data))
    return records


def request_export(overlay: Overlay, request: RequestExport, member: Member, point: BlockPoint) -> Claim:
    """The claim that `request` gives, computed from the stored records. Raises `TransactionRefused`; writes the export marks."""
    policy = read(overlay, ExportPolicy, POLICY)
    if policy is None or not policy.in_force(point.time_ms):
        raise _refuse(Refusal.NO_POLICY_IN_FORCE, "no export policy is in force at this time")
    if request.claim_kind not in RECORD_TYPES:
        raise _refuse(Refusal.BAD_VALUE, "unknown claim kind", request.claim_kind[:64])
    destination = policy.destination(request.destination)
    if destination is None:
        raise _refuse(
            Refusal.DESTINATION_NOT_ALLOWED, "the policy does not allow this destination", request.destination.hex()
        )
    if any(a >= b for a, b in zip(request.fields, request.fields[1:], strict=False)):
        raise _refuse(Refusal.FIELD_NAMED_TWICE, "fields must be sorted and distinct")
    decision = request.decision.decision
    _check_decision(request, decision, policy, point.time_ms)
    records = _records(overlay, request, member)
    context = ClaimContext(
        chain_id=point.chain_id,
        policy=policy,
        destination=destination,
        decision_hash=decision.decision_hash,
        approval_valid_until_ms=decision.approval_valid_until_ms,
        height=point.height,
        time_ms=point.time_ms,
    )
    try:
        if request.claim_kind == "TelemetryClaim":
            claim = _telemetry(overlay, request, context, records)
        else:
            claim = _single(overlay, request, context, records[0], point)
    except Rejected as error:
        if isinstance(error, TransactionRefused):
            raise
        refusal = Refusal[error.code] if error.code in Refusal.__members__ else Refusal.FIELD_NOT_ALLOWED
        raise TransactionRefused(refusal, error.message, subject=error.subject, hint=error.hint) from error
    if claim_values_hash(claim) != decision.values_hash:
        raise _refuse(
            Refusal.DECISION_MISMATCH,
            "the export gate was shown other values than the records give",
            hint="show the gate the values of the records themselves",
        )
    return claim


def _single(
    overlay: Overlay, request: RequestExport, context: ClaimContext, record: Record, point: BlockPoint
) -> Claim:
    key = exported_key(request.destination, request.record_ids[0])
    before = overlay.get(Exported, key)
    # An asset may be shown again under a newer policy; a lock's units must never reach the log twice.
    if before is not None and (record.record_type == "lock" or before.policy_version == context.policy.version):
        raise _refuse(
            Refusal.ALREADY_EXPORTED,
            f"the record is entry {before.log_index} of the export log",
            request.record_ids[0].hex(),
            "use the proof of that entry",
        )
    claim: Claim
    if record.record_type == "lock":
        if record.binary("destination") != request.destination:
            raise _refuse(Refusal.DESTINATION_NOT_ALLOWED, "the units are locked for another destination")
        if record.text("filing_reference") != request.decision.decision.filing_reference:
            raise _refuse(Refusal.DECISION_MISMATCH, "the decision rests on another filing than the lock")
        if context.time_ms >= record.integer("expires_at_ms"):
            raise _refuse(Refusal.LOCK_EXPIRED, "the lock has expired", record.text("lock_id"))
        claim = unit_lock_claim(context, record, request.fields)
    else:
        claim = asset_claim(context, record, request.fields)
    overlay.put(key, Exported(point.log_index, context.policy.version))
    return claim


def _telemetry(overlay: Overlay, request: RequestExport, context: ClaimContext, records: list[Record]) -> Claim:
    batches = []
    for record_id in request.record_ids:
        batch = overlay.get(Batch, batch_key(record_id))
        if batch is None:
            raise _refuse(Refusal.UNKNOWN_RECORD, "no such batch", record_id.hex())
        batches.append(batch)
    if len({b.asset_id for b in batches}) != 1:
        raise _refuse(Refusal.MIXED_ASSETS, "one telemetry claim is about one asset")
    # Devices of one plant measure the same time; each device's batches follow one another, and nothing is counted twice.
    done = overlay.get(TelemetryExport, telemetry_export_key(request.destination, batches[0].asset_id))
    after = done.interval_end_ms if done else 0
    ends: dict[str, int] = {}
    for batch in batches:
        if batch.interval_start_ms < ends.get(batch.device_id, after):
            raise _refuse(
                Refusal.INTERVAL_NOT_NEXT,
                f"a batch begins at {batch.interval_start_ms}, before {ends.get(batch.device_id, after)}",
                batch.device_id,
                "export intervals in order, each once",
            )
        if batch.interval_end_ms > context.time_ms:
            # Device clocks may run ahead. No verifier accepts a claim about time to come, and its energy would be missing from the
            # cumulative sum of every later one.
            raise _refuse(
                Refusal.TIME_IN_FUTURE,
                f"a batch ends at {batch.interval_end_ms}, after this block",
                batch.device_id,
                "ask again when that time has come",
            )
        ends[batch.device_id] = batch.interval_end_ms
    claim = telemetry_claim(
        context,
        records,
        request.fields,
        done.cumulative_energy_wh if done else 0,
        sum(b.flagged_count for b in batches),
    )
    overlay.put(
        telemetry_export_key(request.destination, batches[0].asset_id),
        TelemetryExport(max(ends.values()), claim.cumulative_energy_wh),
    )
    return claim
