"""gRPC face of the delivery node: protobuf in and out, callers known by their certificates, nothing decided here."""

from __future__ import annotations

import asyncio
from typing import Any

from lianqiao.bridge.v1 import delivery_pb2 as pb
from lianqiao.bridge.v1 import delivery_pb2_grpc as pb_grpc

from bridge.delivery.node import DeliveryNode
from bridge.delivery.wire import order_from_proto, packet_from_proto
from lianqiao_base.errors import PermissionDenied
from lianqiao_base.grpc_status import unary
from lianqiao_base.tls import caller_fingerprint


class DeliveryServicer(pb_grpc.DeliveryServiceServicer):
    """Serves one node. `bridges` and `issuers` are SHA-256 fingerprints of client certificates.

    Handlers run on worker threads, for store and node block.
    """

    def __init__(self, node: DeliveryNode, *, bridges: frozenset[bytes], issuers: frozenset[bytes]) -> None:
        self._node = node
        self._bridges = bridges
        self._issuers = issuers

    @unary
    async def SubmitPacket(self, request: pb.SubmitPacketRequest, context: Any) -> pb.SubmitPacketResponse:  # noqa: N802
        """See the proto file."""
        caller = _require(context, self._bridges, "hand over packets")
        packet = packet_from_proto(request.packet)
        result = await asyncio.to_thread(self._node.submit_packet, packet, caller)
        return pb.SubmitPacketResponse(packet_id=result.item_id, state=result.state, reason=result.reason)

    @unary
    async def SubmitOrder(self, request: pb.SubmitOrderRequest, context: Any) -> pb.SubmitOrderResponse:  # noqa: N802
        """See the proto file."""
        caller = _require(context, self._issuers, "order mints")
        order = order_from_proto(request)
        result = await asyncio.to_thread(self._node.submit_order, order, request.identity_payload, caller)
        return pb.SubmitOrderResponse(state=result.state, reason=result.reason)

    @unary
    async def Trace(self, request: pb.TraceRequest, context: Any) -> pb.TraceResponse:  # noqa: N802
        """See the proto file."""
        caller = _require(context, self._bridges | self._issuers, "trace")
        report = await asyncio.to_thread(self._node.trace, request.id, caller)
        return pb.TraceResponse(
            id=report.item_id,
            kind=report.kind,
            state=report.state,
            reason=f"{report.reason_code}: {report.reason}" if report.reason_code else "",
            next_action=report.next_action,
            steps=[pb.TraceStep(state=s.state, time_ms=s.time_ms, detail=s.detail) for s in report.steps],
            l2_transaction_hash=report.l2_transaction_hash or b"",
        )


def _require(context: Any, allowed: frozenset[bytes], act: str) -> bytes:
    caller = caller_fingerprint(context)
    if caller not in allowed:
        raise PermissionDenied(
            "CLIENT_NOT_ALLOWED",
            f"this client certificate may not {act} here",
            subject=caller.hex(),
            hint="ask the operator to add the certificate's fingerprint",
        )
    return caller
