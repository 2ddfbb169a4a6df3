"""The export process, set up and asked through the command line, is killed with SIGKILL at each step and started again: each claim is
logged once and delivered once, and every job learns that it is final."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from bridge.delivery.app import DeliveryServer, Listener
from bridge.delivery.machine import Kind
from bridge.delivery.node import Submission
from bridge.delivery.trace import TraceReport
from bridge.demo.mainland import APPROVAL, ASSET_FIELDS, ASSETS, DAY_MS, FILING, MainlandZone
from bridge.demo.run import MAIN_ASSET
from bridge.export.policy_file import write_policy
from lianqiao_base.errors import NotFound
from lianqiao_base.tls import Authority, fingerprint
from mainland_chain.light.claims import destination_id
from mainland_chain.light.packet import Packet, verify_packet
from mainland_chain.light.trust import TrustedState

ROOT = Path(__file__).parents[2]
CONTROLLER = bytes.fromhex("33" * 20)
DESTINATION = destination_id(31337, CONTROLLER)
# In the order in which a job meets them: before and after each thing that the outside world sees.
POINTS = ("decided", "submitted", "logged", "handed over", "delivered", "handed over again", "final")

pytestmark = pytest.mark.slow


class StrictBorder:
    """A border as `DeliveryServer` serves it: verifies like the real node, and finds every packet's first checkpoint superseded."""

    def __init__(self, trusted: TrustedState) -> None:
        self._trusted = trusted
        self.taken: dict[bytes, list[Packet]] = {}

    def start(self) -> None:
        """Nothing to continue."""

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()

    def _held(self, packet_id: bytes) -> bool:
        heights = [p.checkpoint.checkpoint.height for p in self.taken[packet_id]]
        return max(heights) == heights[0]

    def submit_packet(self, packet: Packet, submitter: bytes) -> Submission:
        now = time.time_ns() // 1_000_000
        verified = verify_packet(packet, self._trusted, destination=DESTINATION, now_ms=now)
        self.taken.setdefault(verified.packet_id, []).append(packet)
        return Submission(verified.packet_id, "verified", "")

    def trace(self, packet_id: bytes, submitter: bytes) -> TraceReport:
        if packet_id not in self.taken:
            raise NotFound("ITEM_UNKNOWN", "no packet")
        if self._held(packet_id):
            code, reason, state = "CHECKPOINT_SUPERSEDED", "the light client is further already", "held"
        else:
            code, reason, state = "", "", "final"
        return TraceReport(packet_id, Kind.PACKET.value, state, code, reason, "", (), None, 0)


@dataclass
class Scene:
    """A ledger and a border in this process, and the configuration of an export process."""

    mainland: MainlandZone
    border: StrictBorder
    config: Path
    assets: int = 0

    async def new_record(self) -> bytes:
        self.assets += 1
        facts = replace(ASSETS[MAIN_ASSET], asset_id=f"pv-{self.assets}", unit_count=1000 + self.assets)
        record_id: bytes = (await self.mainland.register_asset(facts)).result.record_id
        return record_id

    def lianqiao(self, *arguments: str) -> Any:
        done = CliRunner().invoke(cli, ["export", *arguments, "--config", str(self.config), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    def request(self, record_id: bytes, *more: str) -> Any:
        fields = [word for name in ASSET_FIELDS for word in ("--field", name)]
        return self.lianqiao(
            "request",
            "AssetClaim",
            "--record",
            record_id.hex(),
            *fields,
            "--filing",
            FILING,
            "--approval",
            APPROVAL,
            *more,
        )

    async def start(self, point: str = "") -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("export_process.py")),
            str(self.config),
            point,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def wait_for_states(self, *states: str) -> None:
        for _ in range(600):
            jobs = self.lianqiao("list")
            if all(job["state"] in states for job in jobs):
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"jobs stay: {jobs}")


def complete(config: Path, ledger: str, now: int) -> None:
    """What an operator fills in."""
    text = config.read_text().replace("127.0.0.1:0", ledger)
    ends = [dt.datetime.fromtimestamp((now + d) / 1000, dt.UTC).isoformat() for d in (-DAY_MS, DAY_MS)]
    config.write_text(
        f'{text}\n[[approvals]]\nreference = "{APPROVAL}"\nclaim_kinds = ["AssetClaim"]\n'
        f'destinations = ["{DESTINATION.hex()}"]\nvalid_from = {ends[0]}\nvalid_until = {ends[1]}\n'
        f'document_sha256 = "{"01" * 32}"\n'
    )


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Scene]:
    now = time.time_ns() // 1_000_000
    mainland = MainlandZone(folder / "ledger", now)
    await mainland.start()
    # The member's own software and the export process sign for one member: nonces of one clock.
    mainland.builder = replace(mainland.builder, next_nonce=lambda: time.time_ns() // 1_000)
    border = StrictBorder(TrustedState.from_genesis(mainland.genesis))
    authority = Authority.create(folder / "border", "border", dt.datetime.now(dt.UTC))
    files = authority.issue("delivery", dt.datetime.now(dt.UTC))
    bridge = fingerprint(authority.issue("bridge", dt.datetime.now(dt.UTC)).certificate.read_bytes())
    server = DeliveryServer(cast("Any", border), Listener("127.0.0.1:0", files, frozenset({bridge}), frozenset()))
    await server.start()
    try:
        words = ["export", "init", str(folder / "export"), "--ledger-home", str(folder / "ledger"), "--json"]
        words += ["--border", f"127.0.0.1:{server.port}", "--border-tls", str(folder / "border")]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        home = json.loads(done.output)
        config = Path(home["config"])
        policy = mainland.policy(31337, CONTROLLER, DESTINATION, bytes.fromhex(home["gate_public_key"]), now)
        await mainland.publish(policy)
        write_policy(config.parent / "policy.json", policy)
        complete(config, mainland.node.server.address, now)
        yield Scene(mainland, border, config)
    finally:
        await server.stop()
        await mainland.stop()


def test_killed_at_each_step_each_claim_is_delivered_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as scene:
            for point in POINTS:
                # New work for every death, so that every step is reached; what died before is finished on the way.
                scene.request(await scene.new_record())
                process = await scene.start(point)
                assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL, f"{point} was not reached"
            process = await scene.start()
            await scene.wait_for_states("delivered", "final")
            await scene.new_record()  # a newer checkpoint, without which the last packet stays superseded
            await scene.wait_for_states("final")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0

            jobs = scene.lianqiao("list")
            assert len(jobs) == len(POINTS)
            assert (await scene.mainland.client.status()).log_size == len(POINTS)
            assert sorted(job["log_index"] for job in jobs) == list(range(len(POINTS)))
            assert {job["packet_id"] for job in jobs} == {packet_id.hex() for packet_id in scene.border.taken}
            assert len({packets[0].claim for packets in scene.border.taken.values()}) == len(POINTS)

    asyncio.run(story())


def test_a_refused_request_is_taken_up_again_when_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as scene:
            record_id = await scene.new_record()
            approved = scene.config.read_text()
            # The approval is of another destination: the gate refuses.
            scene.config.write_text(approved.replace(f'["{DESTINATION.hex()}"]', f'["{"07" * 32}"]'))
            scene.request(record_id)
            process = await scene.start()
            await scene.wait_for_states("refused")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
            assert "EXPORT_NOT_ALLOWED" in scene.lianqiao("list")[0]["reason"]

            scene.config.write_text(approved)
            assert scene.request(record_id)["state"] == "refused"
            assert scene.request(record_id, "--again")["state"] == "asked"
            process = await scene.start()
            await scene.wait_for_states("delivered")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
            assert (await scene.mainland.client.status()).log_size == 1

    asyncio.run(story())
