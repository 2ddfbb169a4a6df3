"""A small consortium with keys, for tests: four core organisations, one regulator, an export gate, a clock under control."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lianqiao.ledger.v1 import transaction_pb2 as pb

from lianqiao_base.errors import Rejected
from mainland_chain.application import Application
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.claims import ClaimContext, asset_claim, claim_values_hash, telemetry_claim, unit_lock_claim
from mainland_chain.export.decision import ExportDecision, SignedExportDecision
from mainland_chain.export.policy import ExportDestination, ExportPolicy, FieldRule
from mainland_chain.light.claims import Claim, Transform, destination_id
from mainland_chain.light.genesis import Genesis, GenesisMember, GenesisOrganisation, GenesisValidator
from mainland_chain.light.types import CertifiedCheckpoint, org_id
from mainland_chain.records.reading import Reading
from mainland_chain.records.record import decode_record
from mainland_chain.records.sealing import seal_field
from mainland_chain.state.block import BlockCommit, TransactionResult
from mainland_chain.state.entities import SigningMode
from mainland_chain.state.signatures import transaction_message
from mainland_chain.state.view import POLICY, read
from mainland_chain.transaction_builder import Approver, BuiltTransaction, TransactionBuilder
from mainland_chain.wire import serialize, signed_bytes, transaction_hash
from tests.support.memory_store import MemoryStore

NOW = 1_790_000_000_000
DAY = 24 * 3_600_000
QUARTER = 900_000
ORGANISATIONS = ("org-a", "org-b", "org-c", "org-d")
L2_CHAIN_ID = 31337
CONTROLLER = bytes.fromhex("11" * 20)
ISSUER = bytes.fromhex("22" * 20)
DESTINATION = destination_id(L2_CHAIN_ID, CONTROLLER)
RULES = (
    FieldRule("asset", "asset_id", Transform.PSEUDONYM, 0),
    FieldRule("asset", "capacity_w", Transform.BUCKET, 100_000),
    FieldRule("asset", "commissioning_date", Transform.ROUND, 0),
    FieldRule("asset", "division_code", Transform.REGION, 0),
    FieldRule("asset", "legal_owner", Transform.PSEUDONYM, 0),
    FieldRule("asset", "profile", Transform.KEEP, 0),
    FieldRule("asset", "unit_count", Transform.KEEP, 0),
    FieldRule("lock", "expires_at_ms", Transform.KEEP, 0),
    FieldRule("lock", "filing_reference", Transform.KEEP, 0),
    FieldRule("lock", "issuer", Transform.KEEP, 0),
    FieldRule("lock", "lock_id", Transform.PSEUDONYM, 0),
    FieldRule("lock", "units", Transform.KEEP, 0),
    FieldRule("telemetry", "energy_wh", Transform.SUM, 2),
    FieldRule("telemetry", "interval_end_ms", Transform.KEEP, 0),
    FieldRule("telemetry", "interval_start_ms", Transform.KEEP, 0),
    FieldRule("telemetry", "power_w", Transform.MAX, 2),
    FieldRule("telemetry", "readings", Transform.COUNT, 0),
)


@dataclass(repr=False)
class World:
    """Everything a test needs to act on a ledger."""

    keys: dict[str, PrivateKey] = field(default_factory=lambda: {o: PrivateKey.generate() for o in ORGANISATIONS})
    validators: dict[str, PrivateKey] = field(default_factory=lambda: {o: PrivateKey.generate() for o in ORGANISATIONS})
    regulator: PrivateKey = field(default_factory=PrivateKey.generate)
    gate: PrivateKey = field(default_factory=PrivateKey.generate)
    device: PrivateKey = field(default_factory=PrivateKey.generate)
    client_key: bytes = b"k" * 16
    now_ms: int = NOW

    def __post_init__(self) -> None:
        members = [
            GenesisMember(f"{o}.m1", o, "core", k.public_key, f"Q-{o}", hashlib.sha256(o.encode()).digest())
            for o, k in self.keys.items()
        ]
        fingerprint = hashlib.sha256(b"regulator").digest()
        regulator = GenesisMember(
            "regulator.m1", "regulator", "regulator", self.regulator.public_key, "Q-R", fingerprint
        )
        self.genesis = Genesis.create(
            "test",
            NOW - 10 * DAY,
            [
                *(GenesisOrganisation(o, o.upper(), "core") for o in self.keys),
                GenesisOrganisation("regulator", "R", "regulator"),
            ],
            [*members, regulator],
            [GenesisValidator(o, k.public_key) for o, k in self.validators.items()],
        )
        self.chain_id = self.genesis.chain_id
        self.store = MemoryStore()
        self.app = Application(self.genesis, self.store)
        self._nonces = itertools.count(1)

    def builder(self, organisation: str = "org-a") -> TransactionBuilder:
        return TransactionBuilder(
            self.chain_id, f"{organisation}.m1", self.keys[organisation], lambda: next(self._nonces)
        )

    def regulator_builder(self) -> TransactionBuilder:
        return TransactionBuilder(self.chain_id, "regulator.m1", self.regulator, lambda: next(self._nonces))

    def fork(self) -> World:
        """The same keys and history, from here on apart."""
        twin = copy.copy(self)
        twin.store = self.store.copy()
        twin.app = Application(self.genesis, twin.store)
        twin._nonces = itertools.count(next(self._nonces) + 1_000_000)
        return twin

    def edit(
        self, built: BuiltTransaction, change: Callable[[pb.Transaction], object], signer: PrivateKey | None = None
    ) -> BuiltTransaction:
        """`built` after `change`, signed again by `signer`, or else by the member that it names."""
        tx = pb.Transaction.FromString(pb.SignedTransaction.FromString(built.raw).transaction)
        change(tx)
        keys = {f"{o}.m1": k for o, k in self.keys.items()} | {"regulator.m1": self.regulator}
        raw = serialize(tx)
        key = signer or keys[tx.signer]
        return BuiltTransaction(
            signed_bytes(raw, key.sign(transaction_message(self.chain_id, raw))), transaction_hash(raw)
        )

    def approvers(self, count: int = 3) -> list[Approver]:
        return [Approver(f"{o}.m1", self.keys[o]) for o in ORGANISATIONS[:count]]

    def block(self, *txs: BuiltTransaction | bytes) -> BlockCommit:
        """Run one block through the whole method sequence."""
        self.now_ms += 200
        raws = [t if isinstance(t, bytes) else t.raw for t in txs]
        proposal = self.app.prepare(self.app.next_height, self.now_ms, raws)
        self.app.process(proposal)
        block = self.app.finalize(proposal)
        self.app.commit()
        self.app.begin_check()
        return block

    def run(self, tx: BuiltTransaction) -> TransactionResult:
        return self.block(tx).results[0]

    def ok(self, tx: BuiltTransaction) -> TransactionResult:
        result = self.run(tx)
        assert result.ok, result
        return result

    def certify(self) -> CertifiedCheckpoint:
        votes = [self.app.extend_vote(k, org_id(o)) for o, k in self.validators.items()]
        certified = self.app.certificate(votes)
        self.store.save_certificate(certified)
        return certified

    # -- usual transactions --------------------------------------------------------------------------------------------

    def asset(self, **changes: object) -> BuiltTransaction:
        values = {
            "asset_id": "plant-001",
            "plant_name": "清河屋顶光伏一期",
            "capacity_w": 408_000,
            "division_code": "440305",
            "commissioning_date": "2019-06-30",
            "legal_owner": "深圳清河新能源有限公司",
            "unit_count": 1_000_000,
            "sealed": (
                seal_field(self.client_key, "contact_name", "王小明"),
                seal_field(self.client_key, "contact_phone", "13912345678"),
            ),
        }
        return self.builder().register_asset(**{**values, **changes})  # type: ignore[arg-type]

    def register_device(self, mode: SigningMode = SigningMode.BATCH, **changes: object) -> BuiltTransaction:
        values = {
            "device_id": "inverter-1",
            "asset_id": "plant-001",
            "device_key": self.device,
            "manufacturer": "Example",
            "model": "RSF-II",
            "serial": "SN-998877",
            "rated_power_w": 400_000,
            "interval_ms": QUARTER,
            "signing_mode": mode,
        }
        return self.builder().register_device(**{**values, **changes})  # type: ignore[arg-type]

    def readings(self, count: int = 4, first: int = 1, start_ms: int = NOW - 2 * DAY) -> list[Reading]:
        return [
            Reading(first + i, start_ms + (first + i) * QUARTER, 1000 + first + i, 4000 + first + i, 500, 0)
            for i in range(count)
        ]

    def telemetry(
        self, readings: list[Reading] | None = None, mode: SigningMode = SigningMode.BATCH, **changes: object
    ) -> BuiltTransaction:
        values = {
            "device_id": "inverter-1",
            "device_key": self.device,
            "signing_mode": mode,
            "readings": self.readings() if readings is None else readings,
        }
        return self.builder().submit_telemetry(**{**values, **changes})  # type: ignore[arg-type]

    def lock(self, **changes: object) -> BuiltTransaction:
        values = {
            "lock_id": "lock-001",
            "asset_id": "plant-001",
            "units": 5000,
            "destination": DESTINATION,
            "issuer": ISSUER,
            "filing_reference": "CSRC-2026-0001",
            "expires_at_ms": NOW + 30 * DAY,
        }
        return self.builder().lock_units(**{**values, **changes})  # type: ignore[arg-type]

    def policy(self, **changes: object) -> ExportPolicy:
        destination = ExportDestination(DESTINATION, L2_CHAIN_ID, CONTROLLER, b"p" * 32)
        base = ExportPolicy(1, NOW - DAY, NOW + 365 * DAY, (destination,), (self.gate.public_key,), RULES)
        return replace(base, **changes)  # type: ignore[arg-type]

    def decision(
        self, kind: str, *record_ids: bytes, fields: tuple[str, ...] = (), **changes: object
    ) -> ExportDecision:
        base = ExportDecision(
            verdict="ALLOW",
            claim_kind=kind,
            record_ids=record_ids,
            fields=fields,
            destination=DESTINATION,
            policy_version=1,
            filing_reference="CSRC-2026-0001",
            approval_reference="CAC-SC-2026-17",
            approval_valid_until_ms=NOW + 300 * DAY,
            values_hash=bytes(32),
            decision_hash=b"d" * 32,
            issued_at_ms=NOW,
            valid_until_ms=NOW + DAY,
        )
        base = replace(base, **changes)  # type: ignore[arg-type]
        if "values_hash" not in changes:
            base = replace(base, values_hash=self.values_hash(base))
        return base

    def values_hash(self, decision: ExportDecision) -> bytes:
        """What an honest gate would have looked at; zeros where there is no claim to look at."""
        kind, fields = decision.claim_kind, decision.fields
        stored = [self.store.record(r) for r in decision.record_ids]
        policy = read(self.app._base_overlay(), ExportPolicy, POLICY) or self.policy()
        destination = policy.destination(decision.destination) or policy.destinations[0]
        context = ClaimContext(self.chain_id, policy, destination, bytes(32), 0, 0, 0)
        try:
            records = [decode_record(s.data) for s in stored if s is not None]
            claim: Claim
            if kind == "TelemetryClaim":
                claim = telemetry_claim(context, records, fields, 0, 0)
            else:
                claim = (asset_claim if kind == "AssetClaim" else unit_lock_claim)(context, records[0], fields)
        except (Rejected, IndexError):
            return bytes(32)
        return claim_values_hash(claim)

    def sign_decision(self, decision: ExportDecision, gate: PrivateKey | None = None) -> SignedExportDecision:
        key = gate or self.gate
        return SignedExportDecision(decision, key.public_key, key.sign(decision.signing_message(self.chain_id)))

    def export(self, decision: ExportDecision) -> BuiltTransaction:
        return self.builder().request_export(self.sign_decision(decision))

    def prepare_exports(self) -> tuple[bytes, bytes, bytes]:
        """Asset, device, one batch, a lock and a policy on the ledger; their (asset, batch, lock) record ids."""
        asset = self.ok(self.asset()).record_id
        self.ok(self.register_device())
        batch = self.ok(self.telemetry()).record_id
        lock = self.ok(self.lock()).record_id
        self.ok(self.builder().publish_policy(self.policy(), self.approvers()))
        return asset, batch, lock
