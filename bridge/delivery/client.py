"""Client of the border service: for the mainland side (packets), for issuers (orders) and for anyone who traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
import grpc.aio
from lianqiao.bridge.v1 import delivery_pb2 as pb
from lianqiao.bridge.v1.delivery_pb2_grpc import DeliveryServiceStub

from bridge.delivery.order import Order
from bridge.delivery.wire import packet_to_proto
from lianqiao_base.grpc_status import from_rpc_error
from lianqiao_base.tls import TlsFiles, client_credentials
from mainland_chain.light.packet import Packet


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a packet or order stands after it was handed over. `item_id` has 32 bytes."""

    item_id: bytes
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class TracedStep:
    """One step that was taken; time in ms UTC."""

    state: str
    time_ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class Traced:
    """Where a packet or order stands, why, and what comes next."""

    item_id: bytes
    kind: str
    state: str
    reason: str
    next_action: str
    steps: tuple[TracedStep, ...]
    l2_transaction_hash: bytes


class DeliveryClient:
    """One connection over mutual TLS. Use as an async context manager. Raises typed errors; every call may be repeated."""

    def __init__(
        self,
        target: str,
        tls: TlsFiles,
        *,
        timeout_s: float = 30.0,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        """`target` is host:port. Interceptors see every call, e.g. to count or to record it."""
        self._target = target
        self._timeout = timeout_s
        self._channel = grpc.aio.secure_channel(target, client_credentials(tls), interceptors=list(interceptors))
        self._stub: Any = DeliveryServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def submit_packet(self, packet: Packet) -> Receipt:
        """Hand over a packet."""
        answer = await self._call(self._stub.SubmitPacket, pb.SubmitPacketRequest(packet=packet_to_proto(packet)))
        return Receipt(answer.packet_id, answer.state, answer.reason)

    async def submit_order(self, order: Order, identity_payload: bytes) -> Receipt:
        """Order a mint. `identity_payload` is IVMS101.2023 JSON; it stays in Hong Kong."""
        request = pb.SubmitOrderRequest(
            order_id=order.order_id,
            lock_ref=order.lock_ref,
            recipient=order.recipient,
            units=order.units,
            deadline=order.deadline,
            issuer_signature=order.issuer_signature,
            unit_price_hkd_cents=order.unit_price_hkd_cents,
            identity_payload=identity_payload,
        )
        answer = await self._call(self._stub.SubmitOrder, request)
        return Receipt(order.order_id, answer.state, answer.reason)

    async def trace(self, item_id: bytes) -> Traced:
        """Trace a packet or order by its id, or a unique prefix of at least four bytes."""
        answer = await self._call(self._stub.Trace, pb.TraceRequest(id=item_id))
        return Traced(
            answer.id,
            answer.kind,
            answer.state,
            answer.reason,
            answer.next_action,
            tuple(TracedStep(s.state, s.time_ms, s.detail) for s in answer.steps),
            answer.l2_transaction_hash,
        )

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from error
