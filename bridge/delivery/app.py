"""Composition root of the delivery process: reads the configuration, builds the node, serves it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from lianqiao.bridge.v1 import delivery_pb2 as pb
from lianqiao.bridge.v1 import delivery_pb2_grpc as pb_grpc

from bridge.delivery.clearances import GateClearances
from bridge.delivery.config import DeliveryConfig, GateConfig, TlsConfig
from bridge.delivery.layer2 import EvmLayer2
from bridge.delivery.node import DeliveryNode
from bridge.delivery.service import DeliveryServicer
from bridge.delivery.store import DeliveryStore
from bridge.delivery.wire import MAX_MESSAGE_BYTES
from compliance.evidence.store import DecisionStore
from compliance.transfer.gate import TransferGate, default_rules
from compliance.transfer.model import ScreeningSettings
from compliance.transfer.sanctions import ConfiguredLists, load_sanctions
from compliance.transfer.signer import LocalClearanceSigner
from hk_l2 import keys, network
from hk_l2.evm import connect
from hk_l2.manifest import Deployment
from hk_l2.typed_data import Domain
from lianqiao_base.errors import Fatal
from lianqiao_base.passphrase import read_passphrase
from lianqiao_base.tls import TlsFiles, server_credentials
from mainland_chain.light.genesis import Genesis

logger = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["DeliveryService"].full_name
GRACE_S = 5.0


def now_ms() -> int:
    """This machine's clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a node is served, with which certificate and to whom."""

    address: str
    """host:port; port 0 takes a free one."""
    files: TlsFiles
    bridges: frozenset[bytes]
    issuers: frozenset[bytes]


class DeliveryServer:
    """A node behind gRPC with mutual TLS, and its executor. `await start()`, then `await stop()`."""

    def __init__(self, node: DeliveryNode, listener: Listener) -> None:
        self.node = node
        self._listener = listener
        self._stop = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._health = health.aio.HealthServicer()
        limits = [
            ("grpc.so_reuseport", 0),  # a second node on this port is an error, not half of the calls
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
        self._server = grpc.aio.server(options=limits)
        servicer = DeliveryServicer(node, bridges=listener.bridges, issuers=listener.issuers)
        pb_grpc.add_DeliveryServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port = self._server.add_secure_port(listener.address, server_credentials(listener.files))

    async def start(self) -> None:
        """Continue stored work, then serve."""
        await asyncio.to_thread(self.node.start)
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._runner = asyncio.create_task(self.node.run(self._stop))
        logger.info("delivery serves", extra={"port": self.port})

    async def stop(self) -> None:
        """Take nothing new, finish calls and the running round, then end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(GRACE_S)
        self._stop.set()
        if self._runner is not None:
            await self._runner


async def serve(config: DeliveryConfig, *, ready: Callable[[int], None] | None = None) -> None:
    """Run a delivery process until SIGINT or SIGTERM. `ready` is told the port."""
    store = DeliveryStore(config.store_url)
    decisions = DecisionStore(config.gate.store_url)
    try:
        node = await asyncio.to_thread(_node, config, store, decisions)
        server = DeliveryServer(node, _listener(config))
        await server.start()
        if ready is not None:
            ready(server.port)
        await _signalled()
        logger.info("delivery stops")
        await server.stop()
    finally:
        store.close()
        decisions.close()


def _node(config: DeliveryConfig, store: DeliveryStore, decisions: DecisionStore) -> DeliveryNode:
    genesis = Genesis.decode(config.genesis.read_bytes())
    if genesis.chain_id.hex() != config.ledger_chain_id:
        raise Fatal(
            "GENESIS_MISMATCH",
            "the genesis document is not that of the configured ledger",
            subject=genesis.chain_id.hex(),
            hint="compare ledger_chain_id and the genesis file",
        )
    profile = network.load(config.network.profile, chain_id=config.network.chain_id)
    account = keys.load(config.network.keystore, read_passphrase(config.network.passphrase_file))
    deployment = Deployment.load(config.network.manifest)
    layer2 = EvmLayer2(connect(config.network.url), deployment, profile, account, genesis.chain_id)
    gate = _gate(config.gate, layer2.domain, decisions)
    clearances = GateClearances(gate, decisions)
    return DeliveryNode(store=store, layer2=layer2, clearances=clearances, genesis=genesis, clock=now_ms)


def _gate(config: GateConfig, domain: Domain, decisions: DecisionStore) -> TransferGate:
    passphrase = read_passphrase(config.passphrase_file)
    return TransferGate(
        signers=[LocalClearanceSigner.from_keystore(path, passphrase) for path in config.signer_keystores],
        chain_id=domain.chain_id,
        controller=bytes.fromhex(domain.controller[2:]),
        store=decisions,
        lists=ConfiguredLists(tuple(load_sanctions(p.read_bytes(), now_ms()) for p in config.sanctions_lists)),
        screening=ScreeningSettings(config.list_max_age_days, config.allow_sample_list),
        rules=default_rules(),
        lifetime_s=config.clearance_lifetime_s,
    )


def _listener(config: DeliveryConfig) -> Listener:
    tls: TlsConfig = config.tls
    return Listener(
        config.listen,
        TlsFiles(tls.certificate, tls.private_key, tls.authority),
        frozenset(bytes.fromhex(f) for f in tls.bridge_clients),
        frozenset(bytes.fromhex(f) for f in tls.issuer_clients),
    )


async def _signalled() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl+C ends the loop by itself
            loop.add_signal_handler(name, stop.set)
    await stop.wait()
