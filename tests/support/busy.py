"""A ledger on which everything has happened once: what refusals need to be provoked."""

from __future__ import annotations

import hashlib

from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.light.claims import destination_id
from mainland_chain.state.entities import Role, SigningMode
from mainland_chain.transaction_builder import BuiltTransaction
from tests.support.world import CONTROLLER, DAY, NOW, World

OTHER_DESTINATION = destination_id(1, CONTROLLER)


class Busy(World):
    """Organisation a has plant-001 (one device, batch mode; two batches, the first exported) and plant-003 (one device, one signature
    per reading; one batch); b has plant-002 with a device. Asset and first lock are exported; two more locks are not."""

    ids: dict[str, bytes]
    second_key: PrivateKey
    device_b: PrivateKey
    device_single: PrivateKey

    @classmethod
    def make(cls) -> Busy:
        world = cls()
        world.second_key, world.device_b, world.device_single = (PrivateKey.generate() for _ in range(3))
        asset, batch, lock = world.prepare_exports()
        world.ids = {"asset": asset, "batch": batch, "lock": lock}
        world.ok(world.admit())
        b = world.builder("org-b")
        values = {"plant_name": "B", "capacity_w": 1000, "division_code": "110000", "commissioning_date": "2020-02-29"}
        world.ids["asset-b"] = world.ok(
            b.register_asset(asset_id="plant-002", legal_owner="B", unit_count=10, **values)
        ).record_id
        world.ok(world.device_of("org-b", "plant-002", "inverter-b", world.device_b, SigningMode.BATCH))
        world.ids["asset-3"] = world.ok(world.asset(asset_id="plant-003")).record_id
        world.ok(world.device_of("org-a", "plant-003", "inverter-3", world.device_single, SigningMode.READING))
        world.ids["batch-2"] = world.ok(world.telemetry(world.readings(4, first=5))).record_id
        world.ids["batch-3"] = world.ok(
            world.telemetry(
                world.readings(2),
                SigningMode.READING,
                device_id="inverter-3",
                device_key=world.device_single,
            )
        ).record_id
        world.ids["lock-2"] = world.ok(world.lock(lock_id="lock-002", expires_at_ms=NOW + DAY)).record_id
        world.ids["lock-other"] = world.ok(world.lock(lock_id="lock-003", destination=OTHER_DESTINATION)).record_id
        world.ok(world.export(world.decision("AssetClaim", asset, fields=("capacity_w",))))
        world.ok(world.export(world.decision("TelemetryClaim", batch)))
        world.ok(world.export(world.decision("UnitLockClaim", lock)))
        return world

    def device_of(
        self, organisation: str, asset_id: str, device_id: str, key: PrivateKey, mode: SigningMode, **changes: object
    ) -> BuiltTransaction:
        values = {
            "device_id": device_id,
            "asset_id": asset_id,
            "device_key": key,
            "manufacturer": "Example",
            "model": "M",
            "serial": "S",
            "rated_power_w": 400_000,
            "interval_ms": 900_000,
            "signing_mode": mode,
        }
        return self.builder(organisation).register_device(**{**values, **changes})  # type: ignore[arg-type]

    def admit(self, **changes: object) -> BuiltTransaction:
        """A second member of organisation a."""
        values = {
            "member_id": "org-a.m2",
            "organisation_id": "org-a",
            "organisation_name": "ORG-A",
            "role": Role.CORE,
            "qualification_reference": "Q-2",
            "key": self.second_key,
            "tls_fingerprint": hashlib.sha256(b"org-a.m2").digest(),
            "approvers": self.approvers(),
        }
        return self.builder().admit_member(**{**values, **changes})  # type: ignore[arg-type]

    def admit_new(self, **changes: object) -> BuiltTransaction:
        """A member of a new organisation."""
        values = {
            "member_id": "court-1.m1",
            "organisation_id": "court-1",
            "organisation_name": "Court",
            "role": Role.CREDIBILITY,
            "key": PrivateKey.generate(),
            "tls_fingerprint": hashlib.sha256(b"court").digest(),
        }
        return self.admit(**{**values, **changes})
