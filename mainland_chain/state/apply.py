"""One transaction on one state: effects or a typed refusal."""

from __future__ import annotations

from dataclasses import dataclass

from lianqiao_base.errors import Rejected
from mainland_chain.light.claims import encode_claim
from mainland_chain.records.record import Record, record_id
from mainland_chain.state import codec
from mainland_chain.state.assets import lock_units, register_asset, register_device, require_core
from mainland_chain.state.block import StoredRecord
from mainland_chain.state.exporting import BlockPoint, request_export
from mainland_chain.state.governance import admit_member, publish_policy
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.signatures import require_member
from mainland_chain.state.telemetry import Flags, submit_telemetry
from mainland_chain.state.transactions import (
    AdmitMember,
    LockUnits,
    ParsedTransaction,
    PublishExportPolicy,
    RegisterAsset,
    RegisterDevice,
    SubmitTelemetry,
)
from mainland_chain.state.view import Overlay, StateReader, nonce_key


@dataclass(frozen=True, slots=True)
class Effects:
    """What an accepted transaction did. The overlay holds its writes."""

    overlay: Overlay
    record: StoredRecord | None = None
    claim: bytes | None = None
    flagged: Flags = ()
    record_ids: tuple[bytes, ...] = ()
    """Records that the claim was computed from."""


def apply_transaction(base: StateReader, tx: ParsedTransaction, point: BlockPoint) -> Effects:
    """Apply `tx` on an overlay over `base`. Signatures were verified before under the keys of `base`.

    Raises `TransactionRefused`; nothing is written then.
    """
    overlay = Overlay(base)
    try:
        return _apply(base, overlay, tx, point)
    except TransactionRefused:
        raise
    except Rejected as error:
        # A value that every rule let pass and that still fits no encoding, such as an integer beyond 2^53 - 1.
        raise TransactionRefused(Refusal.BAD_VALUE, error.message, subject=error.subject, hint=error.hint) from error


def _apply(base: StateReader, overlay: Overlay, tx: ParsedTransaction, point: BlockPoint) -> Effects:
    if base.has_transaction(tx.tx_hash):
        raise TransactionRefused(
            Refusal.DUPLICATE_TRANSACTION, "the transaction is on the ledger", subject=tx.tx_hash.hex()
        )
    overlay.transactions.add(tx.tx_hash)
    member = require_member(base, tx.signer)
    body = tx.body
    # Telemetry is ordered by the device's own sequence; a nonce would only serialize the gateways of one member.
    if not isinstance(body, SubmitTelemetry):
        _advance_nonce(overlay, tx)
    identifier = record_id(tx.tx_hash)

    def stored(record: Record) -> StoredRecord:
        return StoredRecord(
            identifier,
            record.record_type,
            tx.tx_hash,
            point.height,
            member.organisation_id,
            record.root,
            record.encoded,
        )

    if isinstance(body, SubmitTelemetry):
        record, flagged = submit_telemetry(overlay, body, member, identifier, point.time_ms)
        return _with_record(overlay, stored(record), flagged)
    if isinstance(body, RegisterAsset):
        return _with_record(overlay, stored(register_asset(overlay, body, member, identifier)))
    if isinstance(body, RegisterDevice):
        return _with_record(overlay, stored(register_device(overlay, body, member, identifier)))
    if isinstance(body, LockUnits):
        return _with_record(overlay, stored(lock_units(overlay, body, member, identifier, point.time_ms)))
    require_core(member)
    if isinstance(body, AdmitMember):
        admit_member(overlay, body)
        return Effects(overlay)
    if isinstance(body, PublishExportPolicy):
        publish_policy(overlay, body, point.time_ms)
        return Effects(overlay)
    claim = encode_claim(request_export(overlay, body, member, point))
    return Effects(overlay, claim=claim, record_ids=body.record_ids)


def _with_record(overlay: Overlay, record: StoredRecord, flagged: Flags = ()) -> Effects:
    overlay.records[record.record_id] = record
    return Effects(overlay, record=record, flagged=flagged)


def _advance_nonce(overlay: Overlay, tx: ParsedTransaction) -> None:
    key = nonce_key(tx.signer)
    raw = overlay.state(key)
    last = 0 if raw is None else codec.decode(int, raw)
    if tx.nonce <= last:
        raise TransactionRefused(
            Refusal.REPLAYED_NONCE,
            f"nonce {tx.nonce} is not above {last}",
            subject=tx.signer,
            hint="use a higher nonce",
            data={"last": str(last)},
        )
    overlay.put(key, tx.nonce)
