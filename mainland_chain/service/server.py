"""The gRPC server: mutual TLS, size limits, health and reflection around a servicer."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from lianqiao.ledger.v1 import ledger_pb2
from lianqiao.ledger.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server

from lianqiao_base.errors import Fatal
from mainland_chain.service.servicer import LedgerServicer

SERVICE = ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name
MAX_RECEIVE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where and how to listen."""

    listen: str
    """host:port; port 0 takes a free one."""
    max_concurrent_calls: int = 1_000
    stop_grace_s: float = 10.0


class LedgerServer:
    """Start, stop, and say how it is."""

    def __init__(self, servicer: LedgerServicer, credentials: grpc.ServerCredentials, options: ServerOptions) -> None:
        self._options = options
        self._health = HealthServicer()
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=options.max_concurrent_calls,
            options=(
                ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
                # Without this a second server could silently share the port and get half of the calls.
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ),
        )
        add_LedgerServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        try:
            self.port = self._server.add_secure_port(options.listen, credentials)
        except RuntimeError as error:
            raise Fatal(
                "LISTEN", "cannot listen there", subject=options.listen, hint="is another ledger running?"
            ) from error

    @property
    def address(self) -> str:
        """host:port that clients connect to."""
        return f"{self._options.listen.rpartition(':')[0]}:{self.port}"

    async def start(self) -> None:
        await self._server.start()
        await self.serving(True)

    async def serving(self, healthy: bool) -> None:
        """Tell health checks."""
        status = health_pb2.HealthCheckResponse.SERVING if healthy else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Refuse new calls, give those in progress some time, then end them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._options.stop_grace_s)
