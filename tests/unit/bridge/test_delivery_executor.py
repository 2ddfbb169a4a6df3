"""The executor on bad days: reorganisations, dead nodes, taken nonces, stuck fees, backlogs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.delivery import machine as m
from bridge.delivery.executor import ExecutorSettings
from bridge.delivery.node import DeliveryNode
from bridge.delivery.store import DeliveryStore
from hk_l2.errors import FeeTooLow, RevertError
from hk_l2.txsender import PreparedTransaction
from lianqiao_base.errors import Rejected, Retryable
from mainland_chain.light.claims import leaf_hash
from mainland_chain.light.errors import Equivocation
from tests.unit.bridge.simulated_l2 import REPORT, SimulatedL2, reverting, with_roots
from tests.unit.mainland_chain.light.simulated_ledger import SimulatedLedger


class NoOrders:
    """These tests deliver packets only."""

    def decide(self, order: object, identity: object, price: object, now_ms: int) -> object:
        raise AssertionError

    def recall(self, order_id: bytes) -> None:
        return None


@dataclass
class Bench:
    """A node over a simulated L2; `now` is the clock."""

    folder: Path
    l2: SimulatedL2 = field(default_factory=SimulatedL2)
    now: int = 0

    def __post_init__(self) -> None:
        self.ledger = SimulatedLedger(destination=self.l2.domain.destination())
        self.now = self.ledger.clock + 1_000_000
        self.node = self.start()

    def start(self) -> DeliveryNode:
        self.node = DeliveryNode(
            store=DeliveryStore(f"sqlite:///{self.folder / 'delivery.db'}"),
            layer2=self.l2,
            clearances=NoOrders(),  # type: ignore[arg-type]
            genesis=self.ledger.genesis,
            clock=lambda: self.now,
            settings=ExecutorSettings(watch_ms=10, replace_after_ms=5000),
        )
        self.node.start()
        return self.node

    def packets(self, count: int) -> list[bytes]:
        """`count` new assets, submitted under one checkpoint."""
        first = len(self.ledger.claims)
        for number in range(first, first + count):
            self.ledger.asset(asset_ref=number.to_bytes(32, "big"))
        certified = self.ledger.checkpoint()
        with_roots(self.l2, certified)
        return [self.node.submit_packet(self.ledger.packet(i, certified)).item_id for i in range(first, first + count)]

    def run(self, rounds: int = 12, step_ms: int = 700) -> None:
        for _ in range(rounds):
            self.node.tick()
            self.now += step_ms

    def states(self, ids: list[bytes]) -> list[str]:
        return [self.node.trace(i).state for i in ids]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_finality_is_waited_for(bench: Bench) -> None:
    bench.l2.depth = 3
    ids = bench.packets(2)
    bench.run()
    assert bench.states(ids) == ["mined", "mined"]
    bench.l2.mine(3)
    bench.run()
    assert bench.states(ids) == ["final", "final"]


def test_no_error_of_a_round_ends_the_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever still takes packets must go on delivering them."""
    ids = bench.packets(1)
    errors: list[Exception] = [sa.exc.TimeoutError("no connection left"), RuntimeError("a bug"), Retryable("BUSY", "")]
    tick = bench.node.tick

    def broken_at_first() -> int:
        if errors:
            raise errors.pop()
        return tick()

    monkeypatch.setattr(bench.node, "tick", broken_at_first)

    async def story() -> str:
        stop = asyncio.Event()
        working = asyncio.create_task(bench.node.run(stop, idle_s=0.01))
        report = await bench.node.wait_done(ids[0], timeout_s=5)
        stop.set()
        await working
        return report.state

    assert asyncio.run(story()) == "final"


def test_a_store_without_a_free_connection_is_busy(bench: Bench) -> None:
    store = DeliveryStore(f"sqlite:///{bench.folder / 'other.db'}")
    engine = store._engine
    store._engine = sa.create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with store._engine.connect(), pytest.raises(Retryable) as caught:
        store.counts()
    assert caught.value.code == "STORE_BUSY"


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("depth", [1, 5])
def test_a_reorganisation_proves_again_with_the_same_transaction(bench: Bench, depth: int, keep: bool) -> None:
    bench.l2.depth = 10
    ids = bench.packets(3)
    bench.run()
    bench.l2.mine(3)
    before = bench.node.trace(ids[0]).l2_transaction_hash
    bench.l2.reorganise(depth, keep_transactions=keep)
    bench.run()
    bench.l2.mine(12)
    bench.run(20)
    assert bench.states(ids) == ["final"] * 3
    assert len(bench.l2.proven()) == len(set(bench.l2.proven())) == 3
    assert bench.node.trace(ids[0]).l2_transaction_hash == before
    assert bench.l2._mined_nonces() == 3


def test_a_dead_node_is_waited_for_across_a_restart(bench: Bench) -> None:
    ids = bench.packets(2)
    bench.l2.down = True
    bench.run()
    assert bench.node.trace(ids[0]).reason_code == "NODE_DOWN"
    bench.l2.down = False
    bench.start()
    bench.now += 120_000
    bench.run(20)
    assert bench.states(ids) == ["final", "final"]


def test_a_node_that_dies_at_the_broadcast_gets_the_same_bytes_later(bench: Bench) -> None:
    real, lost = bench.l2.broadcast, []

    def flaky(prepared: object) -> None:
        if not lost:
            lost.append(prepared)
            bench.l2.down = True
        real(prepared)  # type: ignore[arg-type]

    bench.l2.broadcast = flaky  # type: ignore[method-assign]
    ids = bench.packets(2)
    bench.run(2)
    assert bench.node.trace(ids[0]).state == "intended"
    assert bench.node.trace(ids[1]).state == "verified"
    bench.l2.down = False
    bench.run(60)
    assert bench.states(ids) == ["final", "final"]
    assert bench.l2._mined_nonces() == 2


def test_a_taken_nonce_is_left_only_when_that_is_final(bench: Bench) -> None:
    bench.l2.automine, bench.l2.depth = False, 4
    ids = bench.packets(1)
    bench.run(2)
    first = bench.node.trace(ids[0]).l2_transaction_hash
    bench.l2.steal_nonce()
    bench.run(5)
    assert (bench.node.trace(ids[0]).state, bench.node.trace(ids[0]).l2_transaction_hash) == ("sent", first)
    bench.l2.mine(8)
    bench.run(12)
    bench.l2.mine(8)
    bench.run(30)
    bench.l2.mine(8)
    bench.run(30)
    assert bench.states(ids) == ["final"]
    assert bench.node.trace(ids[0]).l2_transaction_hash != first
    assert len(bench.l2.proven()) == 1


def test_a_stuck_transaction_is_replaced_at_its_nonce(bench: Bench) -> None:
    bench.l2.automine = False
    ids = bench.packets(1)
    bench.run(12)
    assert len(set(bench.l2.broadcasts)) >= 2
    assert len(bench.l2.mempool) == 1
    bench.l2.mine()
    bench.run()
    assert bench.states(ids) == ["final"]
    assert bench.l2._mined_nonces() == 1


def test_a_refusal_that_waits_is_tried_ever_more_slowly(bench: Bench) -> None:
    ids = bench.packets(1)
    bench.l2.reverts = reverting("AssetUnknown", leaf_hash(bench.ledger.claims[0]))
    bench.run(30)
    first = bench.node.trace(ids[0])
    assert first.next_attempt_ms - bench.now > 5_000
    assert "tries again by itself" in first.next_action
    bench.start()
    assert bench.node.trace(ids[0]).next_attempt_ms == first.next_attempt_ms
    bench.l2.reverts = lambda leaf: None
    bench.now += 70_000
    bench.run()
    assert bench.states(ids) == ["final"]


def test_an_unknown_revert_is_named_and_waits_for_the_operator(bench: Bench) -> None:
    ids = bench.packets(1)
    bench.l2.reverts = reverting("SomethingNew", leaf_hash(bench.ledger.claims[0]))
    bench.run(3)
    report = bench.node.trace(ids[0])
    assert (report.state, report.reason_code) == ("verified", "SomethingNew")
    assert "operator" in report.next_action


def test_a_backlog_does_not_block_new_work(bench: Bench) -> None:
    old = bench.packets(300)
    backlog = {leaf_hash(claim) for claim in bench.ledger.claims}
    bench.l2.reverts = lambda leaf: RevertError("AssetUnknown", {}, b"") if leaf in backlog else None
    bench.run(15, step_ms=100)
    new = bench.packets(1)
    bench.run(1)
    assert bench.states(new) == ["final"]
    assert set(bench.states(old[:5])) == {"verified"}


def contradict(bench: Bench) -> bytes:
    """The quorum certifies another block of the last height; id of the report."""
    with pytest.raises(Equivocation):
        bench.node.submit_packet(bench.ledger.packet(0, bench.ledger.checkpoint(header_hash=b"\x07" * 32)))
    contradiction = bench.node._trust.contradiction()
    assert contradiction is not None
    return contradiction.item_id


def reports(bench: Bench) -> int:
    return sum(effect.startswith(REPORT) for effect in bench.l2.proven())


@pytest.mark.parametrize("keep", [True, False])
def test_a_report_survives_a_reorganisation_and_a_restart(bench: Bench, keep: bool) -> None:
    bench.l2.depth = 4
    ids = bench.packets(1)
    report = contradict(bench)
    bench.run(3)
    assert bench.states([report, *ids]) == ["mined", "verified"]
    before = bench.node.trace(report).l2_transaction_hash
    bench.l2.reorganise(1, keep_transactions=keep)
    bench.start()
    bench.run(2)
    bench.l2.mine(5)
    bench.run(20)
    assert bench.states([report, *ids]) == ["final", "verified"]
    assert (bench.node.trace(report).l2_transaction_hash, reports(bench)) == (before, 1)
    assert bench.l2.proven()[0].startswith(REPORT)


def test_a_report_waits_for_a_dead_node_and_for_a_contract_that_refuses_it(bench: Bench) -> None:
    bench.packets(1)
    bench.l2.down = True
    report = contradict(bench)
    bench.run()
    assert bench.node.trace(report).reason_code == "NODE_DOWN"
    bench.l2.down = False
    bench.l2.reverts = lambda data: RevertError("InvalidCertificate", {}, b"")
    bench.start()
    bench.now += 120_000
    bench.run(3)
    refused = bench.node.trace(report)
    assert (refused.state, refused.reason_code) == ("verified", "InvalidCertificate")
    assert "operator" in refused.next_action
    bench.l2.reverts = lambda data: None
    bench.now += 120_000
    bench.run()
    assert (bench.states([report]), reports(bench)) == (["final"], 1)


def test_what_was_sent_before_the_freeze_goes_before_the_report(bench: Bench) -> None:
    bench.l2.automine = False
    ids = bench.packets(1)
    bench.run(2)
    assert bench.states(ids) == ["sent"]
    bench.l2.mempool.clear()
    report = contradict(bench)
    bench.run(4)
    bench.l2.mine()
    bench.run()
    assert bench.states([*ids, report]) == ["final", "final"]
    assert [effect.startswith(REPORT) for effect in bench.l2.proven()] == [False, True]


def test_a_report_overtakes_a_backlog(bench: Bench) -> None:
    bench.l2.down = True
    bench.packets(40)
    report = contradict(bench)
    bench.l2.down = False
    bench.run(1)
    assert bench.states([report]) == ["final"]


@pytest.mark.parametrize("has_it", [True, False])
def test_a_transaction_the_node_refuses_is_given_up_only_when_it_does_not_have_it(bench: Bench, has_it: bool) -> None:
    real = bench.l2.broadcast
    refused: list[bytes] = []

    def refusing(prepared: PreparedTransaction) -> None:
        if not refused:
            refused.append(prepared.tx_hash)
            if has_it:
                real(prepared)
            raise FeeTooLow("FEE_TOO_LOW", "too little")
        real(prepared)

    bench.l2.broadcast = refusing  # type: ignore[method-assign]
    ids = bench.packets(1)
    bench.run(1)
    assert (bench.node.trace(ids[0]).reason_code == "FEE_TOO_LOW") is not has_it
    bench.run(12)
    assert bench.states(ids) == ["final"]
    assert (bench.l2._mined_nonces(), len(bench.l2.proven())) == (1, 1)


def test_an_ambiguous_prefix_is_refused(bench: Bench) -> None:
    for last in (b"\x01", b"\x02"):
        bench.node._store.insert(m.Item(b"\x0a" * 31 + last, m.Kind.PACKET), b"", b"", bench.now)
    with pytest.raises(Rejected) as caught:
        bench.node.trace(b"\x0a" * 8)
    assert caught.value.code == "AMBIGUOUS_ID"
