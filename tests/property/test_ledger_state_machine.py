"""Random histories of a ledger: what holds after every block, whatever was sent, checked or refused before."""

from __future__ import annotations

import hashlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainland_chain.application import Application, Proposal
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.light.claims import TelemetryClaim, UnitLockClaim, decode_claim, leaf_hash
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.proof import verify_consistency, verify_inclusion
from mainland_chain.log.tree import consistency_proof, inclusion_proof, merkle_root
from mainland_chain.records.reading import Reading, readings_of
from mainland_chain.records.record import decode_record
from mainland_chain.state import codec
from mainland_chain.state.block import BlockCommit
from mainland_chain.state.entities import Asset, Device, DeviceCursor, Role, SigningMode
from mainland_chain.state.execution import initial_commitment, next_commitment, result_leaf
from mainland_chain.state.view import asset_key, cursor_key, nonce_key
from mainland_chain.transaction_builder import BuiltTransaction
from tests.support.memory_store import MemoryStore
from tests.support.world import DAY, NOW, ORGANISATIONS, QUARTER, World

KEYS = {
    "keys": {o: PrivateKey.generate() for o in ORGANISATIONS},
    "validators": {o: PrivateKey.generate() for o in ORGANISATIONS},
    "regulator": PrivateKey.generate(),
    "gate": PrivateKey.generate(),
    "device": PrivateKey.generate(),
}
ASSETS = ("plant-1", "plant-2")
DEVICES = {
    "inverter-1": ("plant-1", SigningMode.BATCH, PrivateKey.generate()),
    "inverter-2": ("plant-1", SigningMode.READING, PrivateKey.generate()),
    "inverter-3": ("plant-2", SigningMode.BATCH, PrivateKey.generate()),
}
UNITS = 1000


class Nodes:
    """`get` of stored log nodes."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def get(self, level: int, index: int) -> bytes:
        return self._store.log_node(level, index)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(**KEYS)  # type: ignore[arg-type]
        self.pending: list[BuiltTransaction] = []
        self.records: dict[str, list[bytes]] = {"asset": [], "telemetry": [], "lock": []}
        self.policy_version = 0
        self.sequence = dict.fromkeys(DEVICES, 0)
        self.clock = dict.fromkeys(DEVICES, NOW - 5 * DAY)
        self.locks = 0
        self.log: list[bytes] = []
        self.seen_nonces: dict[str, int] = {}
        self.seen_cursors: dict[str, DeviceCursor] = {}

    @initialize()
    def genesis(self) -> None:
        self.run_block([self.world.asset(asset_id=a, unit_count=UNITS) for a in ASSETS])
        self.run_block(
            [
                self.world.register_device(mode, device_id=d, asset_id=a, device_key=key)
                for d, (a, mode, key) in DEVICES.items()
            ]
        )

        self.run_block([self.world.builder().publish_policy(self.world.policy(), self.world.approvers())])

    def send(self, *txs: BuiltTransaction) -> None:
        """Into the queue; a full queue becomes a block."""
        self.pending += txs
        if len(self.pending) >= 3:
            chosen, self.pending = self.pending, []
            self.run_block(chosen)

    # -- what members do ---------------------------------------------------------------------------------------------

    @rule(
        device=st.sampled_from(sorted(DEVICES)),
        count=st.integers(1, 4),
        skip=st.sampled_from((0, 0, 0, 1, -1)),
        pause=st.sampled_from((0, 0, 1, 2)),
        wrong_key=st.booleans().filter(lambda b: not b) | st.booleans(),
    )
    def telemetry(self, device: str, count: int, skip: int, pause: int, wrong_key: bool) -> None:
        _, mode, key = DEVICES[device]
        first, start = self.sequence[device] + 1 + skip, self.clock[device] + pause * QUARTER
        readings = [Reading(max(first + i, 0), start + (i + 1) * QUARTER, 10 + i, 40 + i, 500, 0) for i in range(count)]
        self.send(self.world.telemetry(readings, mode, device_id=device, device_key=KEYS["gate"] if wrong_key else key))
        self.sequence[device], self.clock[device] = readings[-1].sequence, readings[-1].time_ms

    @rule(
        asset=st.sampled_from(ASSETS), units=st.integers(1, UNITS // 3) | st.integers(0, UNITS + 1), again=st.booleans()
    )
    def lock(self, asset: str, units: int, again: bool) -> None:
        self.locks += not again
        self.send(self.world.lock(lock_id=f"lock-{self.locks}", asset_id=asset, units=units))

    @rule(approvals=st.integers(2, 4), gap=st.sampled_from((1, 1, 2)))
    def policy(self, approvals: int, gap: int) -> None:
        policy = self.world.policy(version=self.policy_version + gap)
        self.send(self.world.builder().publish_policy(policy, self.world.approvers(approvals)))

    @rule(data=st.data(), kind=st.sampled_from(("AssetClaim", "TelemetryClaim", "UnitLockClaim")))
    def export(self, data: st.DataObject, kind: str) -> None:
        known = self.records[{"AssetClaim": "asset", "TelemetryClaim": "telemetry", "UnitLockClaim": "lock"}[kind]]
        if not known:
            return
        many = kind == "TelemetryClaim"
        ids = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4 if many else 1, unique=True))
        if data.draw(st.booleans()):
            ids.sort(key=known.index)
        if many and data.draw(st.booleans()):  # one plant's
            plant = self.plant_of(ids[0])
            ids = [i for i in ids if self.plant_of(i) == plant]
        version = max(self.policy_version, 1)
        self.send(self.world.export(self.world.decision(kind, *ids, policy_version=version)))

    def plant_of(self, record_id: bytes) -> str:
        stored = self.world.store.record(record_id)
        assert stored is not None
        return decode_record(stored.data).text("asset_id")

    @rule(devices=st.lists(st.sampled_from(sorted(DEVICES)), min_size=1, max_size=5), units=st.integers(1, 50))
    def whole_walk(self, devices: list[str], units: int) -> None:
        """Batches and a lock, and claims over them."""
        telemetry, locks = len(self.records["telemetry"]), len(self.records["lock"])
        for device in devices:
            self.telemetry(device, 2, 0, 0, False)
        self.lock("plant-1", units, False)
        self.block(None, 100)
        version = max(self.policy_version, 1)
        for plant in ASSETS:
            ids = [i for i in self.records["telemetry"][telemetry:] if self.plant_of(i) == plant]
            if ids:
                self.send(self.world.export(self.world.decision("TelemetryClaim", *ids, policy_version=version)))
        for lock in self.records["lock"][locks:]:
            self.send(self.world.export(self.world.decision("UnitLockClaim", lock, policy_version=version)))

    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        sent = [raw for block in self.world.store.blocks for raw in block.transactions]
        raw = data.draw(st.sampled_from(sent))
        tx = self.world.app.parse(raw)
        self.send(BuiltTransaction(raw, tx.tx_hash))

    @rule()
    def admit(self) -> None:
        self.send(
            self.world.builder().admit_member(
                member_id="court-1.m1",
                organisation_id="court-1",
                organisation_name="Court",
                role=Role.CREDIBILITY,
                qualification_reference="Q",
                key=PrivateKey.generate(),
                tls_fingerprint=hashlib.sha256(b"court").digest(),
                approvers=self.world.approvers(),
            )
        )

    @rule(data=st.data())
    def check_something(self, data: st.DataObject) -> None:
        """What one node's mempool happens to see must not matter: neither accepted nor refused checks leave a trace."""
        if self.pending:
            for built in data.draw(st.lists(st.sampled_from(self.pending), max_size=3)):
                try:
                    self.world.app.check(built.raw, self.world.now_ms)
                except Exception as error:
                    assert hasattr(error, "refusal"), error

    @rule(shuffle=st.randoms(use_true_random=False), limit=st.integers(1, 8))
    def block(self, shuffle: object, limit: int) -> None:
        chosen, self.pending = self.pending[:limit], self.pending[limit:]
        if limit == 1 and shuffle:
            shuffle.shuffle(self.pending)  # type: ignore[attr-defined]
        self.run_block(chosen)

    # -- what must hold ------------------------------------------------------------------------------------------------

    def run_block(self, txs: list[BuiltTransaction]) -> None:
        block = self.world.block(*txs)
        self.examine(block)
        for result, raw in zip(block.results, block.transactions, strict=True):
            if not result.ok:
                continue
            body = self.world.app.parse(raw).body
            if result.record_id:
                stored = self.world.store.record(result.record_id)
                assert stored is not None
                assert stored.root == result.record_root == decode_record(stored.data).root
                if stored.record_type in self.records:
                    self.records[stored.record_type].append(result.record_id)
            if type(body).__name__ == "PublishExportPolicy":
                self.policy_version += 1

    def examine(self, block: BlockCommit) -> None:
        header, store = block.header, self.world.store
        previous = store.header_at(header.height - 1)
        assert header.previous_header_hash == (previous.hash() if previous else self.world.chain_id)
        before = previous.state_commitment if previous else initial_commitment(self.world.chain_id)
        assert header.state_commitment == next_commitment(before, block.writes)
        assert header.tx_root == merkle_root(SM3, [SM3.leaf(raw) for raw in block.transactions])
        assert block.result_leaves == tuple(result_leaf(r) for r in block.results)
        assert header.results_root == merkle_root(SM3, [SM3.leaf(x) for x in block.result_leaves])
        if not any(r.ok for r in block.results) and previous:
            assert (block.writes, block.records, block.claims, block.log_nodes) == ((), (), (), ())
        old_size, old_root = len(self.log), merkle_root(KECCAK, self.log)
        for claim in block.claims:
            assert claim.index == len(self.log)
            assert claim.leaf == leaf_hash(claim.claim)
            self.log.append(claim.leaf)
        assert (header.export_log_size, header.export_log_root) == (len(self.log), merkle_root(KECCAK, self.log))
        nodes = Nodes(store)
        for index, leaf in enumerate(self.log):
            proof = inclusion_proof(nodes, KECCAK, index, len(self.log))
            verify_inclusion(KECCAK, leaf, index, len(self.log), proof, header.export_log_root)
        if old_size:
            proof = consistency_proof(nodes, KECCAK, old_size, len(self.log))
            verify_consistency(KECCAK, old_size, old_root, len(self.log), header.export_log_root, proof)

    @invariant()
    def units_are_conserved(self) -> None:
        locked = dict.fromkeys(ASSETS, 0)
        for record_id in self.records["lock"]:
            stored = self.world.store.record(record_id)
            assert stored is not None
            record = decode_record(stored.data)
            locked[record.text("asset_id")] += record.integer("units")
        for asset_id in ASSETS:
            raw = self.world.store.state(asset_key(asset_id))
            if raw is not None:
                asset = codec.decode(Asset, raw)
                assert asset.locked_units == locked[asset_id]
                assert asset.locked_units <= asset.unit_count == UNITS

    @invariant()
    def every_lock_and_every_reading_is_exported_at_most_once(self) -> None:
        used: list[bytes] = []
        cumulative: dict[bytes, int] = {}
        for index in range(len(self.log)):
            entry = self.world.store.claim(index)
            assert entry is not None
            claim = decode_claim(entry.claim)
            if isinstance(claim, UnitLockClaim | TelemetryClaim):
                used += entry.record_ids
            if isinstance(claim, TelemetryClaim):
                readings = []
                for record_id in entry.record_ids:
                    stored = self.world.store.record(record_id)
                    assert stored is not None
                    readings += readings_of(decode_record(stored.data))
                ref = claim.envelope.asset_ref
                cumulative[ref] = cumulative.get(ref, 0) + sum(r.energy_wh for r in readings)
                assert claim.cumulative_energy_wh == cumulative[ref]
                assert claim.reading_count == len(readings)
        assert len(used) == len(set(used))

    @invariant()
    def nonces_and_sequences_rise(self) -> None:
        for organisation in ORGANISATIONS:
            raw = self.world.store.state(nonce_key(f"{organisation}.m1"))
            now = 0 if raw is None else int(raw)
            assert now >= self.seen_nonces.get(organisation, 0)
            self.seen_nonces[organisation] = now
        for device in DEVICES:
            raw = self.world.store.state(cursor_key(device))
            if raw is not None:
                cursor, last = codec.decode(DeviceCursor, raw), self.seen_cursors.get(device)
                assert last is None or (cursor.sequence >= last.sequence and cursor.time_ms >= last.time_ms)
                assert last is None or (cursor.sequence == last.sequence) == (cursor.time_ms == last.time_ms)
                self.seen_cursors[device] = cursor

    def teardown(self) -> None:
        """A node that saw nothing but the blocks arrives at the same headers, state and log."""
        fresh = MemoryStore()
        app = Application(self.world.genesis, fresh)
        for block in self.world.store.blocks:
            proposal = Proposal(block.header.height, block.header.time_ms, block.transactions)
            app.process(proposal)
            again = app.finalize(proposal)
            assert again == block
            app.commit()
        assert fresh.everything() == self.world.store.everything()
        # So does one that was stopped and started again.
        restarted = Application(self.world.genesis, self.world.store)
        assert restarted.head == self.world.app.head
        proposal = restarted.prepare(restarted.next_height, self.world.now_ms + 1000, [t.raw for t in self.pending])
        assert restarted.finalize(proposal).header_hash == self.world.app.finalize(proposal).header_hash


LedgerMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestLedgerStateMachine = LedgerMachine.TestCase


def test_state_entities_are_what_they_were_after_a_round_trip() -> None:
    device = Device("d-1", "a-1", "o-1", b"r" * 32, b"k" * 64, 5, 7, SigningMode.READING)
    assert codec.decode(Device, codec.encode(device)) == device
    policy = World(**KEYS).policy()  # type: ignore[arg-type]
    assert codec.decode(type(policy), codec.encode(policy)) == policy
