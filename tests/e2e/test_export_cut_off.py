"""The export side is cut off at every step and started again: each claim is logged once and handed over, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bridge.delivery.client import Receipt, Traced
from bridge.demo.mainland import APPROVAL, ASSET_FIELDS, ASSETS, FILING, MainlandZone
from bridge.demo.run import MAIN_ASSET
from bridge.export.exporter import Exporter
from bridge.export.store import ExportJob, ExportStore, JobState
from compliance.evidence.store import DecisionStore
from compliance.export.gate import ExportGate, default_rules
from compliance.export.model import ConfiguredApprovals, ExportApproval
from lianqiao_base.errors import AlreadyExists, Fatal, Retryable
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.light.claims import AssetClaim, decode_claim, destination_id
from mainland_chain.light.packet import Packet, verify_packet
from mainland_chain.light.trust import TrustedState

CONTROLLER = bytes.fromhex("33" * 20)
DESTINATION = destination_id(31337, CONTROLLER)
DAY_MS = 86_400_000


class CutOffError(BaseException):
    """Stands for the end of the process: no handler may catch it."""


class CheckingBorder:
    """A border that verifies every packet as delivery does, and remembers which it took."""

    def __init__(self, trusted: TrustedState) -> None:
        self._trusted = trusted
        self.taken: dict[bytes, Packet] = {}
        self.calls = 0
        self.fail_next: BaseException | None = None

    async def submit_packet(self, packet: Packet) -> Receipt:
        self.calls += 1
        now = time.time_ns() // 1_000_000
        verified = verify_packet(packet, self._trusted, destination=DESTINATION, now_ms=now)
        self.taken[verified.packet_id] = packet
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        return Receipt(verified.packet_id, "verified", "")

    async def trace(self, item_id: bytes) -> Traced:
        return Traced(item_id, "packet", "final", "", "", (), b"")


@dataclass
class Bench:
    """A running ledger with an asset, a policy in force and a gate."""

    mainland: MainlandZone
    policy: ExportPolicy
    gate: ExportGate
    border: CheckingBorder
    folder: Path
    record_id: bytes

    def exporter(
        self, probe: Callable[[str], None] = lambda step: None, policy: ExportPolicy | None = None
    ) -> Exporter:
        self.store = ExportStore(f"sqlite:///{self.folder / 'exports.sqlite3'}")
        return Exporter(
            ledger=self.mainland.client,
            builder=self.mainland.builder,
            gate=self.gate,
            policy=policy or self.policy,
            border=self.border,
            store=self.store,
            clock=lambda: time.time_ns() // 1_000_000,
            probe=probe,
        )

    def ask(self, exporter: Exporter, fields: tuple[str, ...] = ASSET_FIELDS) -> ExportJob:
        return exporter.ask(
            "AssetClaim",
            (self.record_id,),
            fields,
            DESTINATION,
            filing_reference=FILING,
            approval_reference=APPROVAL,
        )

    async def log_size(self) -> int:
        return (await self.mainland.client.status()).log_size


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Bench]:
    now = time.time_ns() // 1_000_000
    mainland = MainlandZone(folder / "mainland", now)
    await mainland.start()
    decisions = DecisionStore(f"sqlite:///{folder / 'decisions.sqlite3'}")
    try:
        record_id = (await mainland.register_asset(ASSETS[MAIN_ASSET])).result.record_id
        gate_key = PrivateKey.generate()
        policy = mainland.policy(31337, CONTROLLER, DESTINATION, gate_key.public_key, now)
        await mainland.publish(policy)
        kinds = frozenset({"AssetClaim"})
        approval = ExportApproval(
            APPROVAL, kinds, frozenset({DESTINATION}), now - DAY_MS, now + DAY_MS, bytes(31) + b"\x01"
        )
        gate = ExportGate(
            signer=gate_key,
            chain_id=mainland.chain_id,
            store=decisions,
            approvals=ConfiguredApprovals((approval,)),
            rules=default_rules(),
        )
        border = CheckingBorder(TrustedState.from_genesis(mainland.genesis))
        yield Bench(mainland, policy, gate, border, folder, record_id)
    finally:
        decisions.close()
        await mainland.stop()


def test_cut_off_at_every_step_and_run_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as bench:
            stopped = []
            for step in ("decided", "logged", "delivered"):

                def stop_there(reached: str, step: str = step) -> None:
                    if reached == step:
                        raise CutOffError(step)

                exporter = bench.exporter(stop_there)
                job = bench.ask(exporter)
                with pytest.raises(CutOffError):
                    await exporter.run(job)
                bench.store.close()
                stopped.append(bench.exporter()._store.get(job.job_id).state)
            assert stopped == [JobState.DECIDED, JobState.LOGGED, JobState.DELIVERED]
            exporter = bench.exporter()
            job = await exporter.run(bench.ask(exporter))
            assert job.state is JobState.DELIVERED
            assert await exporter.resume() == ()
            assert await bench.log_size() == 1
            assert list(bench.border.taken) == [job.packet_id]
            claim = decode_claim(job.claim)
            assert isinstance(claim, AssetClaim) and claim.unit_count == ASSETS[MAIN_ASSET].unit_count

    asyncio.run(story())


def test_cut_off_between_sending_and_storing(tmp_path: Path) -> None:
    """The ledger and the border have acted, the exporter never heard of it."""

    async def story() -> None:
        async with running(tmp_path) as bench:
            exporter = bench.exporter(lambda step: (_ for _ in ()).throw(CutOffError(step)))
            job = bench.ask(exporter)
            with pytest.raises(CutOffError):
                await exporter.run(job)
            stored = bench.store.get(job.job_id)
            await bench.mainland.client.submit(stored.transaction)  # logged, but the job does not know
            bench.border.fail_next = CutOffError("answer lost")
            with pytest.raises(CutOffError):
                await bench.exporter().resume()
            assert len(bench.border.taken) == 1
            done = await bench.exporter().resume()
            assert [j.state for j in done] == [JobState.DELIVERED]
            assert await bench.log_size() == 1 and len(bench.border.taken) == 1

    asyncio.run(story())


def test_a_transaction_that_came_too_late_is_made_anew(tmp_path: Path) -> None:
    """Cut off before sending; meanwhile the member's other software sent a transaction with a higher nonce."""

    async def story() -> None:
        async with running(tmp_path) as bench:
            exporter = bench.exporter(lambda step: (_ for _ in ()).throw(CutOffError(step)))
            job = bench.ask(exporter)
            with pytest.raises(CutOffError):
                await exporter.run(job)
            first = bench.store.get(job.job_id).transaction
            await bench.mainland.register_asset(replace(ASSETS[MAIN_ASSET], asset_id="pv-other"))
            exporter = bench.exporter()
            with pytest.raises(Retryable, match="nonce"):
                await exporter.run(bench.store.get(job.job_id))
            assert bench.store.get(job.job_id).state is JobState.ASKED
            (done,) = await exporter.resume()
            assert done.state is JobState.DELIVERED and done.transaction != first
            assert await bench.log_size() == 1

    asyncio.run(story())


def test_an_absent_border_is_waited_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as bench:
            exporter = bench.exporter()
            bench.border.fail_next = Retryable("UNAVAILABLE", "no connection")
            with pytest.raises(Retryable):
                await exporter.run(bench.ask(exporter))
            (job,) = await exporter.resume()
            assert job.state is JobState.DELIVERED

    asyncio.run(story())


def test_refusals_end_a_job_with_their_reason(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as bench:
            exporter = bench.exporter()
            dropped = await exporter.run(bench.ask(exporter, ("plant_name",)))
            assert dropped.state is JobState.REFUSED and "FIELD_NOT_ALLOWED" in dropped.reason
            other = exporter.ask(
                "AssetClaim",
                (bench.record_id,),
                (),
                bytes(31) + b"\x07",
                filing_reference=FILING,
                approval_reference=APPROVAL,
            )
            assert "DESTINATION_NOT_ALLOWED" in (await exporter.run(other)).reason
            first = bench.ask(exporter)
            with pytest.raises(AlreadyExists):
                exporter.ask(
                    "AssetClaim",
                    (bench.record_id,),
                    ASSET_FIELDS,
                    DESTINATION,
                    filing_reference="CSRC-RWA-2026-9999",
                    approval_reference=APPROVAL,
                )
            stale = bench.exporter(policy=replace(bench.policy, version=2))
            assert "POLICY_CHANGED" in (await stale.run(first)).reason
            assert await bench.log_size() == 0 and not bench.border.taken

    asyncio.run(story())


def test_a_claim_that_differs_from_the_preview_is_never_delivered(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as bench:
            exporter = bench.exporter(lambda step: (_ for _ in ()).throw(CutOffError(step)))
            job = bench.ask(exporter)
            with pytest.raises(CutOffError):
                await exporter.run(job)
            bench.store.update(bench.store.get(job.job_id), previewed="00" * 32)
            with pytest.raises(Fatal, match="CLAIM_DIFFERS"):
                await bench.exporter().resume()
            assert not bench.border.taken

    asyncio.run(story())
