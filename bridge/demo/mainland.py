"""The mainland side of a demonstration: a real ledger with its own home, anchoring measured telemetry over gRPC."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.demo.data import DeviceSeries, batches
from bridge.demo.stages import Stages
from lianqiao_base.errors import LianqiaoError
from mainland_chain import home as ledger_home
from mainland_chain.app import LedgerNode, clock_ms
from mainland_chain.client import LedgerClient
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.engines.protocol import Outcome, Stage
from mainland_chain.export.policy import ExportDestination, ExportPolicy, FieldRule
from mainland_chain.light.claims import Transform
from mainland_chain.records.reading import Reading
from mainland_chain.records.sealing import seal_field
from mainland_chain.state.entities import SigningMode
from mainland_chain.transaction_builder import Approver, BuiltTransaction, TransactionBuilder

ORIGINATOR = "ops.originator"
APPROVERS = ("ops.originator", "ops.broker", "ops.custodian")
MAIN_MEMBERS = {"owner": ORIGINATOR, "other": "ops.broker", "regulator": "ops.regulator"}
DAY_MS = 24 * 3_600_000
FILING = "CSRC-RWA-2026-0042"
APPROVAL = "CAC-SC-2026-0117"

# Anything that is not named here is dropped on the way out.
DEFAULT_RULES = (
    FieldRule("asset", "asset_id", Transform.PSEUDONYM, 0),
    FieldRule("asset", "capacity_w", Transform.BUCKET, 100_000),
    FieldRule("asset", "commissioning_date", Transform.ROUND, 0),
    FieldRule("asset", "division_code", Transform.REGION, 0),
    FieldRule("asset", "profile", Transform.KEEP, 0),
    FieldRule("asset", "unit_count", Transform.KEEP, 0),
    FieldRule("lock", "expires_at_ms", Transform.KEEP, 0),
    FieldRule("lock", "filing_reference", Transform.KEEP, 0),
    FieldRule("lock", "issuer", Transform.KEEP, 0),
    FieldRule("lock", "lock_id", Transform.PSEUDONYM, 0),
    FieldRule("lock", "units", Transform.KEEP, 0),
    FieldRule("telemetry", "energy_wh", Transform.SUM, 24),
    FieldRule("telemetry", "interval_end_ms", Transform.KEEP, 0),
    FieldRule("telemetry", "interval_start_ms", Transform.KEEP, 0),
    FieldRule("telemetry", "power_w", Transform.MAX, 24),
    FieldRule("telemetry", "readings", Transform.COUNT, 0),
)
ASSET_FIELDS = ("capacity_w", "commissioning_date", "division_code", "profile", "unit_count")


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """An asset of the demonstration. Owner and contact are made up; the values of grade high are sealed by the client."""

    asset_id: str
    plant_name: str
    capacity_w: int
    division_code: str
    commissioning_date: str
    legal_owner: str
    contact_name: str
    contact_phone: str
    contact_id_number: str
    unit_count: int


ASSETS = {
    "pv-rsf2": AssetFacts(
        "pv-rsf2", "清河研究楼屋顶光伏", 408_240, "440305", "2011-11-30", "深圳清河新能源有限公司", "欧阳晓岚",
        "13800138006", "110105194912310026", 1_000_000,
    ),
    "pv-serf-west": AssetFacts(
        "pv-serf-west", "西楼小型光伏阵列", 6_000, "420106", "1998-06-01", "武汉西楼能源有限公司", "诸葛明月",
        "13900139004", "420106198803140017", 10_000,
    ),
    "pv-inverter-7539": AssetFacts(
        "pv-inverter-7539", "东湖七号逆变器单元", 10_000, "420111", "2016-03-15", "武汉东湖光伏有限公司", "司马文渊",
        "13700137002", "420111197505050029", 10_000,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedReading:
    """A reading that the ledger refused."""

    reading: Reading
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AnchoredBatch:
    """One accepted batch."""

    outcome: Outcome
    transaction: BuiltTransaction
    readings: tuple[Reading, ...]


@dataclass
class AnchoredSeries:
    """A device's series, shifted in time, and what became of it."""

    series: DeviceSeries
    shift_ms: int
    key: PrivateKey
    batches: list[AnchoredBatch] = field(default_factory=list)
    refused: list[RefusedReading] = field(default_factory=list)

    @property
    def flagged(self) -> dict[int, tuple[str, ...]]:
        """Rules by sequence."""
        return {seq: rules for b in self.batches for seq, rules in b.outcome.result.flagged}


class MainlandZone:
    """A ledger in this process, served and used over gRPC with mutual TLS."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        self.home = ledger_home.init(folder, now_ms=now_ms, listen="127.0.0.1:0")
        self._nonces = itertools.count(now_ms)
        self._client_keys: dict[str, bytes] = {}

    async def start(self) -> None:
        self.node = LedgerNode.build(self.home.config())
        await self.node.start()
        keys = self.home.open_members()
        self.keys = {member: keys.private_key(member) for member in APPROVERS}
        self.client: LedgerClient = self.home.client(ORIGINATOR, target=self.node.server.address)
        self.chain_id = self.node.application.chain_id
        self.genesis = self.node.application.genesis
        self.builder = TransactionBuilder(self.chain_id, ORIGINATOR, self.keys[ORIGINATOR], lambda: next(self._nonces))

    async def stop(self) -> None:
        await self.client.close()
        await self.node.stop()

    def client_as(self, member_id: str) -> LedgerClient:
        """A connection of another member."""
        return self.home.client(member_id, target=self.node.server.address)

    async def submit(self, built: BuiltTransaction) -> Outcome:
        """Submit and wait for the certificate. A refusal is raised."""
        return await self.client.submit(built.raw, Stage.CERTIFIED)

    async def register_asset(self, facts: AssetFacts) -> Outcome:
        """Register an asset; contact fields are sealed under a key that only the client holds."""
        key = self._client_keys.setdefault(facts.asset_id, secrets.token_bytes(16))
        sealed = [
            seal_field(key, name, getattr(facts, name))
            for name in ("contact_id_number", "contact_name", "contact_phone")
        ]
        return await self.submit(
            self.builder.register_asset(
                asset_id=facts.asset_id,
                plant_name=facts.plant_name,
                capacity_w=facts.capacity_w,
                division_code=facts.division_code,
                commissioning_date=facts.commissioning_date,
                legal_owner=facts.legal_owner,
                unit_count=facts.unit_count,
                sealed=sealed,
            )
        )

    async def anchor(self, series: DeviceSeries, stages: Stages) -> AnchoredSeries:
        """Register the device and submit its whole series in daily batches; a refused reading is left out and kept with its reason."""
        mode = SigningMode[series.signing_mode]
        key = PrivateKey.generate()
        anchored = AnchoredSeries(series, time_shift(series), key)
        await self.submit(
            self.builder.register_device(
                device_id=series.device_id,
                asset_id=series.asset_id,
                device_key=key,
                manufacturer=series.manufacturer,
                model=series.model,
                serial=series.serial,
                rated_power_w=series.rated_power_w,
                interval_ms=series.interval_ms,
                signing_mode=mode,
            )
        )
        for batch in batches(series):
            shifted = [r._replace(time_ms=r.time_ms + anchored.shift_ms) for r in batch]
            await self._anchor_batch(anchored, shifted, mode)
            stages.detail(f"{series.title}: {sum(len(b.readings) for b in anchored.batches)} readings anchored")
        return anchored

    async def _anchor_batch(self, anchored: AnchoredSeries, readings: Sequence[Reading], mode: SigningMode) -> None:
        pending = list(readings)
        while pending:
            built = self.builder.submit_telemetry(
                device_id=anchored.series.device_id, device_key=anchored.key, signing_mode=mode, readings=pending
            )
            try:
                outcome = await self.submit(built)
            except LianqiaoError as refusal:
                sequence = refusal.data.get("sequence")
                bad = next((r for r in pending if str(r.sequence) == sequence), None)
                if bad is None:
                    raise
                anchored.refused.append(RefusedReading(bad, refusal.code, refusal.message))
                pending.remove(bad)
                continue
            anchored.batches.append(AnchoredBatch(outcome, built, tuple(pending)))
            return

    def policy(
        self, l2_chain_id: int, controller: bytes, destination: bytes, gate_key: bytes, now_ms: int
    ) -> ExportPolicy:
        """The demonstration's export policy, in force for a year."""
        target = ExportDestination(destination, l2_chain_id, controller, secrets.token_bytes(32))
        return ExportPolicy(1, now_ms - DAY_MS, now_ms + 365 * DAY_MS, (target,), (gate_key,), DEFAULT_RULES)

    async def publish(self, policy: ExportPolicy) -> Outcome:
        """Publish with the approvals of three of the four core organisations."""
        return await self.submit(self.builder.publish_policy(policy, [Approver(m, self.keys[m]) for m in APPROVERS]))


def time_shift(series: DeviceSeries) -> int:
    """Whole days that move the measured series to just before now, so that times of day stay as measured."""
    last = max(r.time_ms for r in series.rows if r.reading is not None)
    return (clock_ms() - last) // DAY_MS * DAY_MS
