"""gRPC face of the transfer gate:

protobuf in and out, nothing decided here. Callers are authenticated by the server's mutual TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from lianqiao.compliance.v1 import compliance_pb2 as pb
from lianqiao.compliance.v1 import compliance_pb2_grpc as pb_grpc

from compliance.evidence.model import Decision, DecisionRecord, Finding, conclude
from compliance.transfer.clearance import SignedClearance
from compliance.transfer.gate import TransferGate
from compliance.transfer.ivms import parse_identity
from compliance.transfer.model import TransferOrder, UnitPrice
from lianqiao_base.errors import Rejected
from lianqiao_base.grpc_status import unary

_DECISIONS = {
    Decision.ALLOW: pb.DECISION_ALLOW,
    Decision.NEEDS_INFO: pb.DECISION_NEEDS_INFO,
    Decision.HOLD: pb.DECISION_HOLD,
    Decision.DENY: pb.DECISION_DENY,
}


class ComplianceServicer(pb_grpc.ComplianceServiceServicer):
    """Serves one `TransferGate`. `clock` gives ms UTC. The gate's store blocks, so it runs on a worker thread."""

    def __init__(self, gate: TransferGate, clock: Callable[[], int]) -> None:
        self._gate = gate
        self._clock = clock

    @unary
    async def ScreenAddress(self, request: pb.ScreenAddressRequest, context: Any) -> pb.ScreenAddressResponse:  # noqa: N802
        """See the proto file."""
        if len(request.address) != 20:
            raise Rejected("BAD_ADDRESS", "an address is 20 bytes")
        findings = await asyncio.to_thread(self._gate.screen_address, request.address, self._clock())
        return pb.ScreenAddressResponse(decision=_DECISIONS[conclude(findings)], findings=_findings(findings))

    @unary
    async def DecideTransfer(self, request: pb.DecideTransferRequest, context: Any) -> pb.DecideTransferResponse:  # noqa: N802
        """See the proto file."""
        order = TransferOrder(
            order_id=request.order_id,
            lock_ref=request.lock_ref,
            issuer=request.issuer,
            recipient=request.recipient,
            units=request.units,
            deadline=request.deadline,
        )
        given = request.price
        price = UnitPrice(given.currency, given.minor, given.as_of_ms) if request.HasField("price") else None
        identity = parse_identity(request.identity_json) if request.identity_json else None
        outcome = await asyncio.to_thread(self._gate.decide, order, identity, price, self._clock())
        response = pb.DecideTransferResponse(decision=_summary(outcome.record))
        if outcome.clearance is not None:
            response.clearance.CopyFrom(_clearance(outcome.clearance))
        return response

    @unary
    async def GetDecision(self, request: pb.GetDecisionRequest, context: Any) -> pb.GetDecisionResponse:  # noqa: N802
        """See the proto file."""
        outcome = await asyncio.to_thread(self._gate.find, request.decision_hash)
        response = pb.GetDecisionResponse(decision=_summary(outcome.record))
        if outcome.clearance is not None:
            response.clearance.CopyFrom(_clearance(outcome.clearance))
        return response


def _findings(findings: Iterable[Finding]) -> list[pb.Finding]:
    return [
        pb.Finding(
            rule_id=finding.rule_id,
            severity=_DECISIONS[finding.severity],
            message=finding.message,
            path=finding.path,
            evidence=finding.evidence,
        )
        for finding in findings
    ]


def _summary(record: DecisionRecord) -> pb.DecisionSummary:
    packs = [pb.RulePack(name=pack.name, version=pack.version, sha256=pack.sha256) for pack in record.rule_packs]
    return pb.DecisionSummary(
        decision_hash=record.decision_hash,
        decision=_DECISIONS[record.decision],
        findings=_findings(record.findings),
        rule_packs=packs,
        decided_at_ms=record.decided_at_ms,
        subject=record.subject,
    )


def _clearance(signed: SignedClearance) -> pb.SignedClearance:
    clearance = signed.clearance
    return pb.SignedClearance(
        order_id=clearance.order_id,
        lock_ref=clearance.lock_ref,
        recipient=clearance.recipient,
        units=clearance.units,
        decision_hash=clearance.decision_hash,
        expiry=clearance.expiry,
        signatures=signed.signatures,
    )
