"""Our types as protobuf messages of the ledger service, and back."""

from __future__ import annotations

from lianqiao.ledger.v1 import ledger_pb2 as pb

from lianqiao_base.errors import Rejected
from mainland_chain.engines.protocol import Outcome, Stage
from mainland_chain.light.types import CertifiedCheckpoint, Checkpoint, QuorumCertificate
from mainland_chain.records.visibility import FieldView
from mainland_chain.state.block import TransactionResult

PENDING = "PENDING"
"""Code of a transaction that is in the queue and in no block."""

_STAGES = {
    pb.WAIT_FOR_UNSPECIFIED: Stage.COMMITTED,
    pb.WAIT_FOR_ADMITTED: Stage.ADMITTED,
    pb.WAIT_FOR_COMMITTED: Stage.COMMITTED,
    pb.WAIT_FOR_CERTIFIED: Stage.CERTIFIED,
}
_WAITS = {stage: wait for wait, stage in _STAGES.items() if wait != pb.WAIT_FOR_UNSPECIFIED}


def stage(wait_for: pb.WaitFor.ValueType) -> Stage:
    """Raises `Rejected("BAD_WAIT_FOR")` for a number that this version does not know."""
    known = _STAGES.get(wait_for)
    if known is None:
        raise Rejected("BAD_WAIT_FOR", f"unknown stage {wait_for}")
    return known


def wait_for(wanted: Stage) -> pb.WaitFor.ValueType:
    return _WAITS[wanted]


def outcome_message(outcome: Outcome) -> pb.TransactionOutcome:
    result = outcome.result
    return pb.TransactionOutcome(
        transaction_hash=result.tx_hash,
        code=result.code,
        message=result.message,
        height=outcome.height,
        index=outcome.index,
        record_id=result.record_id,
        record_root=result.record_root,
        log_index=result.log_index,
        certified=outcome.certified,
        flagged=[pb.FlaggedReading(sequence=sequence, rules=rules) for sequence, rules in result.flagged],
    )


def outcome_from(message: pb.TransactionOutcome) -> Outcome:
    return Outcome(
        TransactionResult(
            tx_hash=message.transaction_hash,
            code=message.code,
            message=message.message,
            record_id=message.record_id,
            record_root=message.record_root,
            log_index=message.log_index if message.HasField("log_index") else None,
            flagged=tuple((f.sequence, tuple(f.rules)) for f in message.flagged),
        ),
        height=message.height,
        index=message.index,
        certified=message.certified,
    )


def checkpoint_message(checkpoint: Checkpoint) -> pb.Checkpoint:
    return pb.Checkpoint(
        chain_id=checkpoint.chain_id,
        epoch=checkpoint.epoch,
        height=checkpoint.height,
        time_ms=checkpoint.time_ms,
        log_size=checkpoint.log_size,
        log_root=checkpoint.log_root,
        header_hash=checkpoint.header_hash,
        next_validators_hash=checkpoint.next_validators_hash,
    )


def certificate_message(certificate: QuorumCertificate) -> pb.QuorumCertificate:
    return pb.QuorumCertificate(bitmap=certificate.bitmap, signatures=certificate.signatures)


def certified_from(checkpoint: pb.Checkpoint, certificate: pb.QuorumCertificate) -> CertifiedCheckpoint:
    return CertifiedCheckpoint(
        Checkpoint(
            chain_id=checkpoint.chain_id,
            epoch=checkpoint.epoch,
            height=checkpoint.height,
            time_ms=checkpoint.time_ms,
            log_size=checkpoint.log_size,
            log_root=checkpoint.log_root,
            header_hash=checkpoint.header_hash,
            next_validators_hash=checkpoint.next_validators_hash,
        ),
        QuorumCertificate(certificate.bitmap, tuple(certificate.signatures)),
    )


def field_message(view: FieldView) -> pb.FieldView:
    return pb.FieldView(
        name=view.name,
        grade=view.grade,
        value=view.value,
        masked=view.masked,
        leaf=view.leaf,
        salt=view.salt,
        encoded_value=view.encoded_value,
        ciphertext=view.ciphertext,
    )


def field_from(message: pb.FieldView) -> FieldView:
    return FieldView(
        name=message.name,
        grade=message.grade,
        value=message.value,
        masked=message.masked,
        leaf=message.leaf,
        salt=message.salt,
        encoded_value=message.encoded_value,
        ciphertext=message.ciphertext,
    )
