"""The border over gRPC with mutual TLS: who may do what, and what a caller learns."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from lianqiao.bridge.v1 import delivery_pb2 as pb
from lianqiao.bridge.v1 import delivery_pb2_grpc as pb_grpc

from bridge.delivery.app import DeliveryServer, Listener
from bridge.delivery.order import Order
from bridge.delivery.wire import packet_to_proto
from lianqiao_base.tls import Authority, client_credentials, fingerprint
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, World

Stub = Any


@pytest_asyncio.fixture
async def border(world: World, tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    authority = Authority.create(tmp_path / "tls", "test authority", dt.datetime.now(dt.UTC))
    files = {n: authority.issue(n, dt.datetime.now(dt.UTC)) for n in ("server", "bridge", "issuer", "stranger")}
    prints = {name: fingerprint(f.certificate.read_bytes()) for name, f in files.items()}
    listener = Listener("127.0.0.1:0", files["server"], frozenset({prints["bridge"]}), frozenset({prints["issuer"]}))
    node = world.node(start=False)
    server = DeliveryServer(node, listener)
    await server.start()
    channels = {
        name: grpc.aio.secure_channel(f"localhost:{server.port}", client_credentials(files[name]))
        for name in ("bridge", "issuer", "stranger")
    }
    stubs = {name: pb_grpc.DeliveryServiceStub(channel) for name, channel in channels.items()}
    yield SimpleNamespace(server=server, node=node, port=server.port, listener=listener, **stubs)
    for channel in channels.values():
        await channel.close()
    await server.stop()


def order_request(order: Order, identity: bytes = IDENTITY_BYTES) -> pb.SubmitOrderRequest:
    return pb.SubmitOrderRequest(
        order_id=order.order_id,
        lock_ref=order.lock_ref,
        recipient=order.recipient,
        units=order.units,
        deadline=order.deadline,
        issuer_signature=order.issuer_signature,
        unit_price_hkd_cents=order.unit_price_hkd_cents,
        identity_payload=identity,
    )


async def refused(call: Any, status: grpc.StatusCode) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is status
    return caught.value


async def test_the_walk_over_the_border(world: World, border: SimpleNamespace) -> None:
    indices = [world.ledger.asset(), world.ledger.telemetry(), world.ledger.lock(bytes.fromhex(ISSUER.address[2:]))]
    certified = world.ledger.checkpoint()
    for index in indices:
        request = pb.SubmitPacketRequest(packet=packet_to_proto(world.ledger.packet(index, certified)))
        first = await border.bridge.SubmitPacket(request)
        assert first.packet_id == world.ledger.packet(index, certified).packet_id()
        assert (await border.bridge.SubmitPacket(request)).packet_id == first.packet_id
        await border.node.wait_done(first.packet_id, timeout_s=60)
    await asyncio.to_thread(world.register_token)
    order = world.order(units=3)
    answer = await border.issuer.SubmitOrder(order_request(order))
    assert answer.state in ("cleared", "intended", "sent", "mined", "final")
    await border.node.wait_done(order.order_id, timeout_s=60)
    trace = await border.issuer.Trace(pb.TraceRequest(id=order.order_id[:4]))
    assert (trace.kind, trace.state, len(trace.l2_transaction_hash)) == ("order", "final", 32)
    assert trace.steps[-1].state == "final"
    await refused(border.bridge.Trace(pb.TraceRequest(id=order.order_id)), grpc.StatusCode.NOT_FOUND)
    changed = order_request(world.order(units=4))
    await refused(border.issuer.SubmitOrder(changed), grpc.StatusCode.ALREADY_EXISTS)


async def test_roles(world: World, border: SimpleNamespace) -> None:
    world.ledger.asset()
    packet = pb.SubmitPacketRequest(packet=packet_to_proto(world.ledger.packet(0)))
    await refused(border.issuer.SubmitPacket(packet), grpc.StatusCode.PERMISSION_DENIED)
    await refused(border.bridge.SubmitOrder(order_request(world.order())), grpc.StatusCode.PERMISSION_DENIED)
    for call in (
        border.stranger.SubmitPacket(packet),
        border.stranger.SubmitOrder(order_request(world.order())),
        border.stranger.Trace(pb.TraceRequest(id=b"12345678")),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED)


async def test_no_certificate_no_connection(border: SimpleNamespace) -> None:
    async with grpc.aio.insecure_channel(f"localhost:{border.port}") as channel:
        stub: Stub = pb_grpc.DeliveryServiceStub(channel)
        await refused(stub.Trace(pb.TraceRequest(id=b"12345678"), timeout=5), grpc.StatusCode.UNAVAILABLE)


async def test_bad_input_has_a_named_error(world: World, border: SimpleNamespace) -> None:
    world.ledger.asset()
    good = packet_to_proto(world.ledger.packet(0))
    unknown = pb.Packet()
    unknown.ParseFromString(good.SerializeToString() + b"\xf8\x07\x01")
    cut = pb.Packet()
    cut.CopyFrom(good)
    cut.checkpoint.log_root = b"short"
    forged = pb.Packet()
    forged.CopyFrom(good)
    forged.checkpoint.bitmap = 3
    for packet, code in (
        (pb.Packet(), "BAD_PACKET"),
        (unknown, "BAD_PACKET"),
        (cut, "BAD_LENGTH"),
        (forged, "NO_QUORUM"),
    ):
        error = await refused(
            border.bridge.SubmitPacket(pb.SubmitPacketRequest(packet=packet)), grpc.StatusCode.INVALID_ARGUMENT
        )
        assert dict(error.trailing_metadata() or ())["lianqiao-code"] == code
    await refused(border.bridge.SubmitPacket(pb.SubmitPacketRequest()), grpc.StatusCode.INVALID_ARGUMENT)
    huge = pb.SubmitPacketRequest(packet=pb.Packet(claim=bytes(300_000)))
    await refused(border.bridge.SubmitPacket(huge), grpc.StatusCode.RESOURCE_EXHAUSTED)
    error = await refused(border.issuer.SubmitOrder(order_request(world.order())), grpc.StatusCode.FAILED_PRECONDITION)
    assert "submit the order again" in str(error.details())
    secret = b'{"originator": "Secret Person"}'
    error = await refused(
        border.issuer.SubmitOrder(order_request(world.order(), secret)), grpc.StatusCode.INVALID_ARGUMENT
    )
    assert "Secret" not in str(error.details())


async def test_a_second_node_cannot_take_the_same_port(border: SimpleNamespace) -> None:
    """Sharing it would send half of the calls to each."""
    taken = dataclasses.replace(border.listener, address=f"127.0.0.1:{border.port}")
    with pytest.raises(RuntimeError):
        DeliveryServer(border.node, taken)
