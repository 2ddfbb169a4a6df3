"""Which SM2 signatures a transaction must carry, and their verification. Independent of the order of transactions, so it runs in
threads; everything that depends on order is in the rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mainland_chain.crypto import sm2
from mainland_chain.crypto.sm3 import sm3, tag
from mainland_chain.records.reading import batch_message, reading_message
from mainland_chain.state.entities import Device, Member, Role, SigningMode
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.transactions import (
    AdmitMember,
    Approval,
    ParsedTransaction,
    PublishExportPolicy,
    RegisterDevice,
    RequestExport,
    SubmitTelemetry,
)
from mainland_chain.state.view import StateReader, device_key, member_key, read


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """One signature that must verify; `refusal` is the answer when it does not."""

    public_key: bytes
    message: bytes
    signature: bytes
    refusal: Refusal
    subject: str


def transaction_message(chain_id: bytes, transaction: bytes) -> bytes:
    """What a member signs."""
    return tag("lianqiao.tx.v1") + chain_id + transaction


def possession_message(chain_id: bytes, public_key: bytes, identifier: str) -> bytes:
    """What the holder of a new key signs to prove possession."""
    return tag("lianqiao.possession.v1") + chain_id + public_key + identifier.encode()


def approval_message(chain_id: bytes, approved_bytes: bytes) -> bytes:
    """What a core member signs to approve a governance transaction."""
    return tag("lianqiao.approval.v1") + chain_id + sm3(approved_bytes)


def require_member(reader: StateReader, member_id: str) -> Member:
    member = read(reader, Member, member_key(member_id))
    if member is None:
        raise TransactionRefused(
            Refusal.UNKNOWN_SIGNER, "no such member", subject=member_id, hint="have the member admitted first"
        )
    return member


def require_device(reader: StateReader, device_id: str) -> Device:
    device = read(reader, Device, device_key(device_id))
    if device is None:
        raise TransactionRefused(
            Refusal.UNKNOWN_DEVICE, "no such device", subject=device_id, hint="register the device first"
        )
    return device


def required_signatures(tx: ParsedTransaction, chain_id: bytes, reader: StateReader) -> list[SignatureCheck]:
    """All signatures of `tx`, under the keys that `reader` knows. Raises `TransactionRefused` for another ledger's transaction and
    for unknown signers."""
    if tx.chain_id != chain_id:
        raise TransactionRefused(Refusal.WRONG_CHAIN, "the transaction is for another ledger", subject=tx.tx_hash.hex())
    signer = require_member(reader, tx.signer)
    message = transaction_message(chain_id, tx.transaction)
    checks = [SignatureCheck(signer.public_key, message, tx.signature, Refusal.BAD_SIGNATURE, tx.signer)]
    body = tx.body
    if isinstance(body, AdmitMember):
        proof = possession_message(chain_id, body.public_key, body.member_id)
        checks.append(_possession(body.public_key, proof, body.possession_proof, body.member_id))
        checks += _approvals(body.approvals, body.approved_bytes, chain_id, reader)
    elif isinstance(body, RegisterDevice):
        proof = possession_message(chain_id, body.public_key, body.device_id)
        checks.append(_possession(body.public_key, proof, body.possession_proof, body.device_id))
    elif isinstance(body, PublishExportPolicy):
        checks += _approvals(body.approvals, body.approved_bytes, chain_id, reader)
    elif isinstance(body, RequestExport):
        decision = body.decision
        checks.append(
            SignatureCheck(
                decision.gate_public_key,
                decision.decision.signing_message(chain_id),
                decision.signature,
                Refusal.BAD_DECISION,
                "export decision",
            )
        )
    elif isinstance(body, SubmitTelemetry):
        checks += _device_signatures(body, chain_id, require_device(reader, body.device_id))
    return checks


def _possession(public_key: bytes, message: bytes, signature: bytes, subject: str) -> SignatureCheck:
    if not sm2.public_key_is_valid(public_key):
        raise TransactionRefused(Refusal.BAD_PUBLIC_KEY, "not a point of the SM2 curve", subject=subject)
    return SignatureCheck(public_key, message, signature, Refusal.NO_KEY_POSSESSION, subject)


def _approvals(
    approvals: tuple[Approval, ...], approved: bytes, chain_id: bytes, reader: StateReader
) -> Iterator[SignatureCheck]:
    """One vote per core organisation: so there are never more signatures to verify than organisations."""
    message = approval_message(chain_id, approved)
    organisations = set()
    for approval in approvals:
        member = read(reader, Member, member_key(approval.member_id))
        if member is None or member.role is not Role.CORE:
            raise TransactionRefused(Refusal.BAD_APPROVAL, "only core members approve", subject=approval.member_id)
        if member.organisation_id in organisations:
            raise TransactionRefused(
                Refusal.BAD_APPROVAL, "one organisation has one vote", subject=member.organisation_id
            )
        organisations.add(member.organisation_id)
        yield SignatureCheck(member.public_key, message, approval.signature, Refusal.BAD_APPROVAL, approval.member_id)


def _device_signatures(body: SubmitTelemetry, chain_id: bytes, device: Device) -> list[SignatureCheck]:
    single = device.signing_mode is SigningMode.READING
    expected = len(body.readings) if single else 1
    if len(body.signatures) != expected:
        raise TransactionRefused(
            Refusal.SIGNATURE_COUNT,
            f"{len(body.signatures)} signatures; a device in {device.signing_mode.name} mode sends {expected}",
            subject=body.device_id,
        )
    if single:
        messages = [reading_message(chain_id, body.device_id, raw) for raw in body.encoded]
    else:
        messages = [batch_message(chain_id, body.device_id, body.encoded)]
    return [
        SignatureCheck(device.public_key, m, s, Refusal.BAD_DEVICE_SIGNATURE, f"{body.device_id} #{i}")
        for i, (m, s) in enumerate(zip(messages, body.signatures, strict=True))
    ]


def verify_signatures(checks: list[SignatureCheck]) -> None:
    """Raise `TransactionRefused` for the first signature that does not verify."""
    for check in checks:
        if not sm2.public_key_is_valid(check.public_key) or not sm2.verify(
            check.public_key, check.message, check.signature
        ):
            raise TransactionRefused(
                check.refusal,
                "the SM2 signature does not verify",
                subject=check.subject,
                hint="sign the exact bytes that docs/protocol.md section 1 names, with the registered key",
            )
