"""Composition root of a ledger node: the only module that reads the configuration, the clock and the environment."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lianqiao_base import logs
from lianqiao_base.errors import Fatal
from lianqiao_base.passphrase import read_passphrase
from lianqiao_base.tls import server_credentials
from mainland_chain.application import Application
from mainland_chain.config import LedgerConfig
from mainland_chain.crypto import sm2
from mainland_chain.crypto.errors import KeyNotFound
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.crypto.protocols import Signer
from mainland_chain.engines.embedded import EmbeddedEngine, Step
from mainland_chain.engines.mempool import Limits
from mainland_chain.home import VALIDATOR_PREFIX
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import org_id
from mainland_chain.service.server import LedgerServer, ServerOptions
from mainland_chain.service.servicer import LedgerServicer
from mainland_chain.store import SqlLedgerStore

logger = logging.getLogger(__name__)


def clock_ms() -> int:
    """Wall clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class LedgerNode:
    """All parts of a running ledger."""

    config: LedgerConfig
    store: SqlLedgerStore
    application: Application
    engine: EmbeddedEngine
    server: LedgerServer

    @classmethod
    def build(
        cls,
        config: LedgerConfig,
        *,
        clock: Callable[[], int] = clock_ms,
        observer: Callable[[Step, int], None] | None = None,
    ) -> LedgerNode:
        """Open everything and check it. Call on the event loop that will run it."""
        report = sm2.start()
        logger.info("cryptography passed its self-test", extra={"sm2": report.sm2, "sm3": report.sm3_long})
        genesis = Genesis.decode(_read(config.genesis))
        store = _open_store(config, genesis.chain_id)
        try:
            application = Application(genesis, store)
            engine = EmbeddedEngine(
                application, store, _signers(config, genesis), clock=clock, limits=_limits(config), observer=observer
            )
            server = LedgerServer(
                LedgerServicer(application, engine, store),
                server_credentials(config.tls.files()),
                ServerOptions(
                    config.server.listen,
                    config.server.max_concurrent_calls,
                    float(config.server.stop_grace_seconds),
                ),
            )
        except BaseException:
            store.close()
            raise
        return cls(config, store, application, engine, server)

    async def start(self) -> None:
        await self.engine.start()
        await self.server.start()
        head = self.engine.head()
        logger.info(
            "ledger is serving",
            extra={
                "address": self.server.address,
                "chain_id": self.application.chain_id.hex(),
                "height": head.header.height if head else 0,
            },
        )

    async def stop(self) -> None:
        """Orderly: the engine first, so that waiting calls are answered, then the server, then the store."""
        await self.engine.stop()
        await self.server.stop()
        self.store.close()
        logger.info("ledger stopped", extra={"height": self.engine.certified_height})


async def serve(config_path: Path, *, ready: Callable[[LedgerNode], None] | None = None) -> None:
    """Run the ledger until SIGTERM or SIGINT. Raises `Fatal` when it cannot start, or has to stop by itself."""
    config = LedgerConfig.load(config_path)
    logs.configure(config.log.level, config.log.format)
    node = LedgerNode.build(config)
    await run(node, ready=ready)


async def run(node: LedgerNode, *, ready: Callable[[LedgerNode], None] | None = None) -> None:
    """Start `node`, wait for a signal or the engine's end, and stop it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await node.start()
        if ready is not None:
            ready(node)
        waiting = [asyncio.create_task(ended.wait()), asyncio.create_task(node.engine.wait_stopped())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        await node.stop()
    if node.engine.failure is not None:
        raise node.engine.failure


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fatal(
            "CONFIG", f"{error.strerror}", subject=str(path), hint="check the paths in the configuration"
        ) from error


def _open_store(config: LedgerConfig, chain_id: bytes) -> SqlLedgerStore:
    if config.store.path is not None:
        return SqlLedgerStore.open_file(config.store.path, chain_id)
    if config.store.url is None:
        raise Fatal("CONFIG", "store: set either path or url")
    return SqlLedgerStore(config.store.url, chain_id)


def _signers(config: LedgerConfig, genesis: Genesis) -> dict[bytes, Signer]:
    """Validators' keys that are in the keystore."""
    keystore = Keystore.open(config.keys.keystore, read_passphrase(config.keys.passphrase_file))
    signers: dict[bytes, Signer] = {}
    for validator in genesis.validators:
        try:
            key = keystore.private_key(VALIDATOR_PREFIX + validator.organisation_id)
        except KeyNotFound:
            logger.warning("no key of a validator", extra={"organisation": validator.organisation_id})
            continue
        signers[org_id(validator.organisation_id)] = key
    return signers


def _limits(config: LedgerConfig) -> Limits:
    return Limits(
        block_transactions=config.blocks.max_transactions,
        block_bytes=config.blocks.max_bytes,
        block_interval_ms=config.blocks.interval_ms,
        pending_transactions=config.blocks.pending_transactions,
        pending_bytes=config.blocks.pending_bytes,
    )
