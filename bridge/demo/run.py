"""The main job, end to end, on measured telemetry: anchor, prove, mint, verify. Every part is the real one, in one process."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.delivery.order import Order
from bridge.demo import forgeries
from bridge.demo.data import load_all
from bridge.demo.hongkong import HongKongZone
from bridge.demo.identities import identity_payload
from bridge.demo.mainland import (
    APPROVAL,
    ASSET_FIELDS,
    ASSETS,
    FILING,
    AnchoredSeries,
    MainlandZone,
)
from bridge.demo.model import RefusalRow
from bridge.demo.stages import Stages
from bridge.export.exporter import Exporter
from bridge.export.store import ExportJob, ExportStore, JobState
from compliance.evidence.store import DecisionStore
from compliance.export.gate import ExportGate, default_rules
from compliance.export.model import ConfiguredApprovals, ExportApproval
from compliance.transfer.sanctions import sample_list
from hk_l2 import keys
from lianqiao_base.errors import Fatal
from mainland_chain.app import clock_ms
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.engines.protocol import Outcome
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.light.claims import AssetClaim, Claim, UnitLockClaim, decode_claim
from mainland_chain.light.packet import Packet

MAIN_ASSET = "pv-rsf2"
LOCKED_UNITS = 50_000
ORDERS = (("Chan", "Siu Ming", "1984-05-17", 1_200), ("Lam", "Ka Yan", "1979-11-02", 60))
DAY_MS = 24 * 3_600_000


@dataclass
class Run:
    """Everything that a run made; the report and the tests read it."""

    folder: Path
    mainland: MainlandZone
    hongkong: HongKongZone
    stages: Stages
    started_ms: int
    policy: ExportPolicy
    series: list[AnchoredSeries]
    asset_outcomes: dict[str, Outcome]
    jobs: list[ExportJob]
    packets: list[Packet]
    orders: list[tuple[Order, bytes]]
    refusals: list[RefusalRow]
    asset_ref: bytes
    lock_ref: bytes

    @property
    def claims(self) -> list[Claim]:
        return [decode_claim(j.claim) for j in self.jobs]


async def run_demo(
    folder: Path,
    *,
    l2_url: str = "",
    listener: Callable[[str, str], None] = lambda event, text: None,
    finish: Callable[[Run], Awaitable[None]] | None = None,
) -> Run:
    """Run everything below `folder`, which must be empty or absent. `finish` is called while all parts are still running.

    Raises typed errors; `Fatal("FORGERY_ACCEPTED")` when a gate let something pass that it must refuse.
    """
    stages = Stages(listener)
    started = clock_ms()
    with stages.stage("Start the mainland ledger (4 validators, SM2, mutual TLS)"):
        mainland = MainlandZone(folder / "mainland", started)
        await mainland.start()
    try:
        return await _with_ledger(folder, mainland, stages, started, l2_url, finish)
    finally:
        await mainland.stop()


async def _with_ledger(
    folder: Path,
    mainland: MainlandZone,
    stages: Stages,
    started: int,
    l2_url: str,
    finish: Callable[[Run], Awaitable[None]] | None,
) -> Run:
    with stages.stage("Anchor assets and measured telemetry"):
        assets = {a: await mainland.register_asset(ASSETS[a]) for a in ASSETS}
        series = [await mainland.anchor(s, stages) for s in load_all()]
    with stages.stage("Deploy the Hong Kong contracts (light client, controller, feed)"):
        hongkong = HongKongZone(folder / "hongkong", mainland.genesis, l2_url)
        hongkong.deploy()
        await hongkong.start()
    try:
        return await _with_both(folder, mainland, hongkong, stages, started, assets, series, finish)
    finally:
        await hongkong.stop()


async def _with_both(
    folder: Path,
    mainland: MainlandZone,
    hongkong: HongKongZone,
    stages: Stages,
    started: int,
    assets: dict[str, Outcome],
    series: list[AnchoredSeries],
    finish: Callable[[Run], Awaitable[None]] | None,
) -> Run:
    destination = hongkong.domain.destination()
    controller = bytes.fromhex(hongkong.domain.controller[2:])
    gate_key = PrivateKey.generate()
    with stages.stage("Publish the export policy, lock units"):
        policy = mainland.policy(hongkong.domain.chain_id, controller, destination, gate_key.public_key, clock_ms())
        await mainland.publish(policy)
        lock = await mainland.submit(
            mainland.builder.lock_units(
                lock_id="lock-2026-001",
                asset_id=MAIN_ASSET,
                units=LOCKED_UNITS,
                destination=destination,
                issuer=bytes.fromhex(hongkong.issuer.address[2:]),
                filing_reference=FILING,
                expires_at_ms=clock_ms() + 30 * DAY_MS,
            )
        )
    exports = ExportStore(f"sqlite:///{folder / 'exports.sqlite3'}")
    decisions = DecisionStore(f"sqlite:///{folder / 'mainland-decisions.sqlite3'}")
    gate = ExportGate(
        signer=gate_key,
        chain_id=mainland.chain_id,
        store=decisions,
        approvals=ConfiguredApprovals((_approval(destination),)),
        rules=default_rules(),
    )
    try:
        async with hongkong.bridge_client() as border:
            exporter = Exporter(
                ledger=mainland.client,
                builder=mainland.builder,
                gate=gate,
                policy=policy,
                border=border,
                store=exports,
                clock=clock_ms,
            )
            batches = [b.outcome.result.record_id for s in series if s.series.asset_id == MAIN_ASSET for b in s.batches]
            requests = [
                ("AssetClaim", (assets[MAIN_ASSET].result.record_id,), ASSET_FIELDS),
                ("TelemetryClaim", tuple(batches[:-1]), ("power_w",)),
                ("TelemetryClaim", tuple(batches[-1:]), ("power_w",)),
                ("UnitLockClaim", (lock.result.record_id,), ()),
            ]
            jobs, packets = [], []
            with stages.stage("Export claims and prove them on the L2"):
                for kind, records, fields in requests:
                    job = exporter.ask(
                        kind, records, fields, destination, filing_reference=FILING, approval_reference=APPROVAL
                    )
                    job = await exporter.run(job)
                    if job.state is not JobState.DELIVERED:
                        raise Fatal("EXPORT_FAILED", job.reason, subject=kind)
                    stages.detail(f"{kind} is entry {job.log_index} of the export log")
                    packets.append(await exporter.packet(job))
                    await _final(hongkong, border, job.packet_id)
                    jobs.append(job)
            claims = [decode_claim(j.claim) for j in jobs]
            asset_ref = next(c.envelope.asset_ref for c in claims if isinstance(c, AssetClaim))
            lock_ref = next(c.lock_ref for c in claims if isinstance(c, UnitLockClaim))
            orders = []
            with stages.stage("Clear and mint two orders"):
                hongkong.launch_token(asset_ref)
                for primary, secondary, born, units in ORDERS:
                    orders.append(await _mint(hongkong, lock_ref, primary, secondary, born, units, stages))
            with stages.stage("Try forgeries at every gate"):
                listed = hongkong.evm.web3.to_checksum_address(next(iter(sample_list(clock_ms()).programs)))
                meter = next(s for s in series if s.series.asset_id == MAIN_ASSET)
                again = exporter.signed_decision(jobs[0])
                refusals = [
                    *await forgeries.at_the_ledger(mainland, meter.series.device_id, again),
                    await forgeries.at_the_export_gate(exporter, assets[MAIN_ASSET].result.record_id, destination),
                    *await forgeries.at_the_border(packets[0], border),
                    *await forgeries.at_the_mint(hongkong, lock_ref, listed, LOCKED_UNITS + 1),
                ]
            run = Run(
                folder, mainland, hongkong, stages, started, policy, series, assets, jobs, packets, orders, refusals,
                asset_ref, lock_ref,
            )  # fmt: skip
            if finish is not None:
                await finish(run)
            return run
    finally:
        exports.close()
        decisions.close()


def _approval(destination: bytes) -> ExportApproval:
    now = clock_ms()
    return ExportApproval(
        reference=APPROVAL,
        claim_kinds=frozenset({"AssetClaim", "TelemetryClaim", "UnitLockClaim"}),
        destinations=frozenset({destination}),
        valid_from_ms=now - DAY_MS,
        valid_until_ms=now + 300 * DAY_MS,
        document_sha256=hashlib.sha256(b"made-up approval of the demonstration").digest(),
    )


async def _final(hongkong: HongKongZone, client: object, item_id: bytes) -> None:
    traced = await hongkong.wait_final(item_id, client)  # type: ignore[arg-type]
    if traced.state != "final":
        raise Fatal("DELIVERY_FAILED", f"{traced.state}: {traced.reason}", subject=item_id.hex())


async def _mint(
    hongkong: HongKongZone, lock_ref: bytes, primary: str, secondary: str, born: str, units: int, stages: Stages
) -> tuple[Order, bytes]:
    recipient = keys.generate().address
    hongkong.admit_investor(recipient)
    order = hongkong.signed_order(lock_ref, recipient, units)
    payload = identity_payload(primary, secondary, born, recipient)
    async with hongkong.issuer_client() as client:
        await client.submit_order(order, payload)
        await _final(hongkong, client, order.order_id)
    stages.detail(f"{units} units minted to {recipient}")
    return order, payload
