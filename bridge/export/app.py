"""Composition root of the export process: reads configuration, keys and clock, builds exporter and worker, runs them."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from bridge.delivery.client import DeliveryClient
from bridge.export.config import ExportConfig, KeyConfig
from bridge.export.exporter import Exporter
from bridge.export.policy_file import load_policy
from bridge.export.store import ExportStore
from bridge.export.worker import ExportWorker
from compliance.evidence.store import DecisionStore
from compliance.export.gate import ExportGate, default_rules
from lianqiao_base.errors import Fatal, Retryable
from lianqiao_base.passphrase import read_passphrase
from mainland_chain.client import LedgerClient, RetryPolicy
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.transaction_builder import TransactionBuilder

logger = logging.getLogger(__name__)

CALL_S = 10.0
"""Of one call to the ledger or the border: what waits longer is tried again later, and others are served meanwhile."""
RECONNECT_S = 2.0


def now_ms() -> int:
    """This machine's clock, ms UTC."""
    return time.time_ns() // 1_000_000


async def serve(
    config: ExportConfig,
    *,
    ready: Callable[[], None] = lambda: None,
    probe: Callable[[str], None] = lambda step: None,
) -> None:
    """Run an export process until SIGINT or SIGTERM. `ready` is called when it works; `probe` is told each step taken."""
    stop = asyncio.Event()
    _stop_on_signal(stop)
    policy = load_policy(config.policy)
    member = await asyncio.to_thread(_key, config.member)
    gate_key = await asyncio.to_thread(_key, config.gate)
    if gate_key.public_key not in policy.gate_keys:
        raise Fatal(
            "GATE_NOT_IN_POLICY",
            "the policy does not name this gate's key, so the ledger would refuse its decisions",
            subject=config.gate.name,
            hint="compare gate.keystore with the policy in force",
        )
    decisions = DecisionStore(config.gate.store_url)
    store = ExportStore(config.store_url)
    try:
        async with (
            LedgerClient(config.ledger.target, config.ledger.files(), retry=RetryPolicy(deadline_s=CALL_S)) as ledger,
            DeliveryClient(config.border.target, config.border.files(), timeout_s=CALL_S) as border,
        ):
            if not await _same_ledger(ledger, bytes.fromhex(config.ledger.chain_id), stop):
                return
            exporter = Exporter(
                ledger=ledger,
                builder=_builder(config, member),
                gate=_gate(config, gate_key, decisions),
                policy=policy,
                border=border,
                store=store,
                clock=now_ms,
                probe=probe,
            )
            logger.info("export works", extra={"policy": policy.version, "open_jobs": len(store.open_jobs())})
            ready()
            await ExportWorker(exporter, store, ledger).watch(stop)
            logger.info("export stops")
    finally:
        store.close()
        decisions.close()


async def _same_ledger(ledger: LedgerClient, chain_id: bytes, stop: asyncio.Event) -> bool:
    """Wait until the ledger answers and is the configured one; false when told to stop before."""
    while not stop.is_set():
        try:
            found = (await ledger.status()).chain_id
        except Retryable as error:
            logger.warning("the ledger does not answer", extra={"code": error.code})
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECONNECT_S)
            continue
        if found != chain_id:
            raise Fatal(
                "ANOTHER_LEDGER", "this is not the configured ledger", subject=found.hex(), hint="check ledger.chain_id"
            )
        return True
    return False


def _builder(config: ExportConfig, member: PrivateKey) -> TransactionBuilder:
    chain_id = bytes.fromhex(config.ledger.chain_id)
    return TransactionBuilder(chain_id, config.member.name, member, lambda: time.time_ns() // 1_000)


def _gate(config: ExportConfig, key: PrivateKey, decisions: DecisionStore) -> ExportGate:
    return ExportGate(
        signer=key,
        chain_id=bytes.fromhex(config.ledger.chain_id),
        store=decisions,
        approvals=config.register(),
        rules=default_rules(),
        lifetime_ms=config.gate.lifetime_s * 1000,
    )


def _key(config: KeyConfig) -> PrivateKey:
    return Keystore.open(config.keystore, read_passphrase(config.passphrase_file)).private_key(config.name)


def _stop_on_signal(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl+C ends the loop by itself
            loop.add_signal_handler(name, stop.set)
