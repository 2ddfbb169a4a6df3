"""What tests and benchmarks of a whole ledger share: a home, members who build transactions, devices that sign."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from mainland_chain.app import LedgerNode, clock_ms
from mainland_chain.client import LedgerClient, RetryPolicy
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.home import LedgerHome, init
from mainland_chain.records.reading import Reading
from mainland_chain.state.entities import SigningMode
from mainland_chain.transaction_builder import BuiltTransaction, TransactionBuilder

START_MS = 1_750_000_000_000
INTERVAL_MS = 300_000
ORIGINATOR = "ops.originator"
BROKER = "ops.broker"
NOTARY = "ops.notary"
REGULATOR = "ops.regulator"
ASSET = "plant-1"


@dataclass
class Device:
    """A device that measures a plausible, ever-changing power."""

    device_id: str
    mode: SigningMode
    key: PrivateKey = field(default_factory=PrivateKey.generate)
    sequence: int = 0

    def readings(self, count: int) -> list[Reading]:
        made = []
        for _ in range(count):
            self.sequence += 1
            n = self.sequence
            made.append(Reading(n, START_MS + n * INTERVAL_MS, 1_000 + n % 7, 12_000 + n % 11, 500 + n % 300, 0))
        return made

    def batch(self, builder: TransactionBuilder, count: int) -> BuiltTransaction:
        return builder.submit_telemetry(
            device_id=self.device_id, device_key=self.key, signing_mode=self.mode, readings=self.readings(count)
        )


@dataclass
class Kit:
    """A development home and the keys in it."""

    home: LedgerHome
    builders: dict[str, TransactionBuilder]

    @classmethod
    def create(cls, folder: Path, *, block_interval_ms: int = 20) -> Kit:
        home = init(folder, now_ms=clock_ms(), listen="127.0.0.1:0", block_interval_ms=block_interval_ms)
        return cls.open(home)

    @classmethod
    def open(cls, home: LedgerHome) -> Kit:
        genesis = home.genesis()
        members = home.open_members()
        counter = itertools.count(1)
        return cls(
            home,
            {
                m.member_id: TransactionBuilder(
                    genesis.chain_id, m.member_id, members.private_key(m.member_id), lambda: next(counter)
                )
                for m in genesis.members
            },
        )

    def client(self, node: LedgerNode, member: str = ORIGINATOR, deadline_s: float = 10.0) -> LedgerClient:
        return self.home.client(member, target=node.server.address, retry=RetryPolicy(deadline_s))

    def asset(self, asset_id: str = ASSET, member: str = ORIGINATOR) -> BuiltTransaction:
        return self.builders[member].register_asset(
            asset_id=asset_id,
            plant_name="Qinghai Plant No. 1",
            capacity_w=5_000_000,
            division_code="630121",
            commissioning_date="2024-05-01",
            legal_owner="Sunfield Power Co., Ltd.",
            unit_count=1_000_000,
        )

    def device(self, device: Device, asset_id: str = ASSET, member: str = ORIGINATOR) -> BuiltTransaction:
        return self.builders[member].register_device(
            device_id=device.device_id,
            asset_id=asset_id,
            device_key=device.key,
            manufacturer="Maker",
            model="INV-100",
            serial=f"SN-{device.device_id}",
            rated_power_w=100_000,
            interval_ms=INTERVAL_MS,
            signing_mode=device.mode,
        )


@dataclass
class Running:
    """A running ledger and connections to it."""

    kit: Kit
    node: LedgerNode
    clients: dict[str, LedgerClient]

    @property
    def client(self) -> LedgerClient:
        return self.clients[ORIGINATOR]

    async def with_device(self, mode: SigningMode = SigningMode.BATCH, device_id: str = "dev-1") -> Device:
        """Register the asset and a device on it."""
        device = Device(device_id, mode)
        await self.client.submit(self.kit.asset().raw)
        await self.client.submit(self.kit.device(device).raw)
        return device

    def batch(self, device: Device, count: int = 3) -> BuiltTransaction:
        return device.batch(self.kit.builders[ORIGINATOR], count)
