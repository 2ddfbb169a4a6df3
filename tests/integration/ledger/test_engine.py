"""The embedded engine with the real application and store, without gRPC: order, bounds, recovery, and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ledger_kit import ORIGINATOR, Device, Kit

from lianqiao_base.errors import Fatal, LianqiaoError, Overloaded, PreconditionFailed, Rejected, Retryable
from mainland_chain.app import clock_ms
from mainland_chain.application import Application
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.crypto.protocols import Signer
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.engines.embedded import EmbeddedEngine, Step
from mainland_chain.engines.mempool import Limits
from mainland_chain.engines.protocol import Stage
from mainland_chain.home import VALIDATOR_PREFIX
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.types import org_id
from mainland_chain.state.entities import SigningMode
from mainland_chain.store import SqlLedgerStore


@dataclass
class Bench:
    """Opens engines over one store, one after the other."""

    kit: Kit
    signers: dict[bytes, Signer]
    opened: list[tuple[EmbeddedEngine, SqlLedgerStore]] = field(default_factory=list)

    def open(self, limits: Limits | None = None, **options: Any) -> EmbeddedEngine:
        genesis = self.kit.home.genesis()
        store = SqlLedgerStore.open_file(self.kit.home.folder / "ledger.sqlite3", genesis.chain_id)
        self.application = Application(genesis, store)
        signers = options.pop("signers", self.signers)
        options.setdefault("clock", clock_ms)
        try:
            engine = EmbeddedEngine(
                self.application, store, signers, limits=limits or Limits(block_interval_ms=10), **options
            )
        except BaseException:
            store.close()
            raise
        self.opened.append((engine, store))
        return engine

    @property
    def store(self) -> SqlLedgerStore:
        return self.opened[-1][1]

    async def close(self) -> None:
        engine, store = self.opened.pop()
        await engine.stop()
        store.close()

    def batches(self, device: Device, count: int) -> list[bytes]:
        return [device.batch(self.kit.builders[ORIGINATOR], 2).raw for _ in range(count)]

    async def with_device(self, engine: EmbeddedEngine) -> Device:
        device = Device("dev-1", SigningMode.BATCH)
        await engine.submit(self.kit.asset().raw, Stage.CERTIFIED)
        await engine.submit(self.kit.device(device).raw, Stage.CERTIFIED)
        return device


@pytest.fixture(scope="module")
def signers(founded: Kit) -> dict[bytes, Signer]:
    keystore = Keystore.open(founded.home.validator_keystore, founded.home.passphrase())
    return {
        org_id(v.organisation_id): keystore.private_key(VALIDATOR_PREFIX + v.organisation_id)
        for v in founded.home.genesis().validators
    }


@pytest.fixture
async def bench(kit: Kit, signers: dict[bytes, Signer]) -> AsyncIterator[Bench]:
    made = Bench(kit, signers)
    yield made
    while made.opened:
        await made.close()


async def settled(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_every_block_goes_through_the_same_steps(bench: Bench) -> None:
    steps: list[tuple[Step, int]] = []
    engine = bench.open(observer=lambda step, height: steps.append((step, height)))
    await engine.start()
    await bench.with_device(engine)
    assert steps == [(step, height) for height in (1, 2) for step in Step]


async def test_the_order_of_arrival_holds_whatever_the_prechecks_take(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = bench.open()
    await engine.start()
    device = await bench.with_device(engine)
    raws = bench.batches(device, 8)
    real = bench.application.precheck

    def slow_at_first(raw: bytes) -> bytes:
        time.sleep(0.05 if raws.index(raw) % 2 == 0 else 0)
        return real(raw)

    monkeypatch.setattr(bench.application, "precheck", slow_at_first)
    outcomes = await asyncio.gather(*(engine.submit(r, Stage.COMMITTED) for r in raws))
    places = [(o.height, o.index) for o in outcomes]
    assert all(o.result.ok for o in outcomes) and places == sorted(places)


async def test_a_full_queue_says_so_and_has_room_again(bench: Bench) -> None:
    engine = bench.open(Limits(block_interval_ms=200, pending_transactions=3))
    await engine.start()
    device = await bench.with_device(engine)
    raws = bench.batches(device, 5)
    tasks = [asyncio.create_task(engine.submit(r, Stage.COMMITTED)) for r in raws]
    results = await settled(*tasks)
    assert [isinstance(r, Overloaded) for r in results] == [False] * 3 + [True] * 2
    assert results[3].code == "MEMPOOL_FULL"
    await engine.wait_for_room()
    assert engine.pending == 0
    assert (await engine.submit(raws[3], Stage.COMMITTED)).result.ok


async def test_bytes_are_bounded_too(bench: Bench) -> None:
    engine = bench.open(Limits(pending_bytes=100))
    await engine.start()
    with pytest.raises(Overloaded):
        await engine.submit(bench.kit.asset().raw, Stage.COMMITTED)
    with pytest.raises(Rejected) as caught:
        await engine.submit(bytes(600_000), Stage.COMMITTED)
    assert caught.value.code == "TRANSACTION_TOO_LARGE"


async def test_room_is_given_back_by_every_end(bench: Bench) -> None:
    engine = bench.open()
    await engine.start()
    device = await bench.with_device(engine)
    raw = bench.batches(device, 1)[0]
    await engine.submit(raw, Stage.COMMITTED)
    await settled(
        engine.submit(raw, Stage.COMMITTED),  # committed before
        engine.submit(b"garbage", Stage.COMMITTED),  # refused by the precheck
        engine.submit(bench.kit.asset().raw, Stage.COMMITTED),  # refused by the check
    )
    assert engine.pending == 0


async def test_blocks_are_bounded_and_never_empty(bench: Bench) -> None:
    engine = bench.open(Limits(block_interval_ms=50, block_transactions=4))
    await engine.start()
    device = await bench.with_device(engine)
    outcomes = await asyncio.gather(*(engine.submit(r, Stage.COMMITTED) for r in bench.batches(device, 10)))
    sizes = [len(bench.store.result_leaves(h)) for h in range(3, outcomes[-1].height + 1)]
    assert max(sizes) == 4 and sum(sizes) == 10 and min(sizes) > 0
    await asyncio.sleep(0.2)
    head = engine.head()
    assert head is not None and head.header.height == outcomes[-1].height


async def test_a_full_block_does_not_wait_for_the_time(bench: Bench) -> None:
    engine = bench.open(Limits(block_interval_ms=60_000, block_transactions=2))
    await engine.start()
    async with asyncio.timeout(5):
        device = Device("dev-1", SigningMode.BATCH)
        await asyncio.gather(
            engine.submit(bench.kit.asset().raw, Stage.COMMITTED),
            engine.submit(bench.kit.device(device).raw, Stage.COMMITTED),
        )


async def test_time_never_goes_back(bench: Bench) -> None:
    now = clock_ms()
    times = iter([now + 5, now + 5, now - 10_000_000])
    last = now

    def clock() -> int:
        nonlocal last
        last = next(times, last)
        return last

    engine = bench.open(clock=clock)
    await engine.start()
    for asset in ("plant-1", "plant-2", "plant-3"):
        await engine.submit(bench.kit.asset(asset).raw, Stage.CERTIFIED)
    headers = [bench.store.header_at(h) for h in (1, 2, 3)]
    made = [h.time_ms for h in headers if h is not None]
    assert made[1] == made[0] + 1 and made[2] == made[1] + 1


async def test_a_caller_that_goes_away_takes_nothing_back(bench: Bench) -> None:
    engine = bench.open(Limits(block_interval_ms=100))
    await engine.start()
    asset = bench.kit.asset()
    gone = asyncio.create_task(engine.submit(asset.raw, Stage.COMMITTED))
    await asyncio.sleep(0.03)
    gone.cancel()
    await settled(gone)
    outcome = await engine.submit(asset.raw, Stage.CERTIFIED)
    assert outcome.result.ok and outcome.height == 1


async def test_stopping_hands_back_what_is_pending(bench: Bench) -> None:
    engine = bench.open(Limits(block_interval_ms=60_000))
    await engine.start()
    tasks = [
        asyncio.create_task(engine.submit(bench.kit.asset(a).raw, Stage.COMMITTED)) for a in ("plant-1", "plant-2")
    ]
    waiting = asyncio.create_task(engine.wait_certified(0))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        await engine.stop()
        results = await settled(*tasks, waiting)
    assert [(type(r), r.code) for r in results] == [(Retryable, "SHUTTING_DOWN")] * 3
    with pytest.raises(Retryable):
        await engine.submit(bench.kit.asset().raw, Stage.COMMITTED)
    assert engine.failure is None and engine.head() is None
    await engine.stop()


async def test_a_block_in_progress_is_finished_and_certified_when_stopping(bench: Bench) -> None:
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(step: Step, _height: int) -> None:
        if step is Step.FINALIZED:
            loop.call_soon_threadsafe(reached.set)
            time.sleep(0.2)

    engine = bench.open(observer=slow)
    await engine.start()
    call = asyncio.create_task(engine.submit(bench.kit.asset().raw, Stage.CERTIFIED))
    await reached.wait()
    await engine.stop()
    assert (await call).certified
    assert bench.store.certified(1) is not None


async def test_the_missing_certificate_is_made_on_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise Fatal("POWER_CUT", "between block and certificate")

    engine = bench.open()
    monkeypatch.setattr(bench.store, "save_certificate", lost)
    await engine.start()
    asset = bench.kit.asset()
    with pytest.raises(Retryable):
        await engine.submit(asset.raw, Stage.CERTIFIED)
    await engine.wait_stopped()
    assert engine.failure is not None and engine.failure.code == "POWER_CUT"
    with pytest.raises(Retryable) as caught:
        await engine.submit(asset.raw, Stage.COMMITTED)
    assert caught.value.code == "ENGINE_FAILED"
    await bench.close()
    again = bench.open()
    assert bench.store.certified() is None
    await again.start()
    certified = bench.store.certified(1)
    assert certified is not None and again.certified_height == 1
    verify_certificate(certified.checkpoint, certified.certificate, bench.application.validators)
    assert (await again.submit(asset.raw, Stage.CERTIFIED)).height == 1


@pytest.mark.parametrize("step", ["commit", "save_certificate"])
async def test_a_busy_store_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    engine = bench.open()
    real, failures = getattr(bench.store, step), [Retryable("STORE_UNAVAILABLE", "busy")] * 2

    def busy_at_first(written: Any) -> None:
        if failures:
            raise failures.pop()
        real(written)

    monkeypatch.setattr(bench.store, step, busy_at_first)
    await engine.start()
    outcome = await engine.submit(bench.kit.asset().raw, Stage.CERTIFIED)
    assert outcome.result.ok and outcome.height == 1 and not failures


async def test_a_quorum_is_enough_and_less_is_not(bench: Bench, signers: dict[bytes, Signer]) -> None:
    three = dict(list(signers.items())[:3])
    engine = bench.open(signers=three)
    await engine.start()
    assert (await engine.submit(bench.kit.asset().raw, Stage.CERTIFIED)).certified
    certified = bench.store.certified(1)
    assert certified is not None and certified.certificate.bitmap.bit_count() == 3
    await bench.close()
    two = dict(list(signers.items())[:2])
    wrong: dict[bytes, Signer] = {org: PrivateKey.generate() for org in signers}
    for bad in (two, wrong):
        with pytest.raises(Fatal) as caught:
            bench.open(signers=bad)
        assert caught.value.code == "NO_QUORUM_KEYS"


async def test_a_validator_that_cannot_sign_is_done_without(
    bench: Bench, signers: dict[bytes, Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = next(iter(signers))
    engine = bench.open()
    real = bench.application.extend_vote

    def extend(signer: Signer, org: bytes) -> Any:
        if org == absent:
            raise Fatal("HSM_GONE", "no answer")
        return real(signer, org)

    monkeypatch.setattr(bench.application, "extend_vote", extend)
    await engine.start()
    await engine.submit(bench.kit.asset().raw, Stage.CERTIFIED)
    certified = bench.store.certified(1)
    assert certified is not None and certified.certificate.bitmap.bit_count() == 3


async def test_what_was_left_out_of_a_block_is_not_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = bench.open()
    real, left_out = bench.application.prepare, []

    def prepare(height: int, time_ms: int, raws: Any) -> Any:
        if len(left_out) < 2:
            left_out.append(raws[0])
            return real(height, time_ms, raws[1:])
        return real(height, time_ms, raws)

    monkeypatch.setattr(bench.application, "prepare", prepare)
    await engine.start()
    assert (await engine.submit(bench.kit.asset().raw, Stage.CERTIFIED)).result.ok
    monkeypatch.setattr(bench.application, "prepare", lambda h, t, _raws: real(h, t, []))
    with pytest.raises(Retryable) as caught:
        await engine.submit(bench.kit.asset("plant-2").raw, Stage.COMMITTED)
    assert caught.value.code == "NOT_INCLUDED"
    assert engine.pending == 0


async def test_pending_transactions_are_checked_again_when_a_block_differs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = bench.open(Limits(block_interval_ms=100, block_transactions=1))
    await engine.start()
    first, second = bench.kit.asset(), bench.kit.device(Device("dev-1", SigningMode.BATCH))
    real = bench.application.finalize

    def refuse(proposal: Any) -> Any:
        # The block holds something else than what was prepared; the second one depended on the first.
        monkeypatch.setattr(bench.application, "finalize", real)
        return real(
            type(proposal)(proposal.height, proposal.time_ms, (bench.kit.device(Device("x-1", SigningMode.BATCH)).raw,))
        )

    monkeypatch.setattr(bench.application, "finalize", refuse)
    monkeypatch.setattr("mainland_chain.engines.embedded._MAX_POSTPONED", 1)
    results = await settled(engine.submit(first.raw, Stage.COMMITTED), engine.submit(second.raw, Stage.COMMITTED))
    assert [r.code for r in results] == ["NOT_INCLUDED", "UNKNOWN_ASSET"]
    assert all(isinstance(r, LianqiaoError) for r in results)
    assert engine.pending == 0


@pytest.mark.parametrize("grown", [False, True])
async def test_a_view_that_has_grown_is_made_afresh(bench: Bench, monkeypatch: pytest.MonkeyPatch, grown: bool) -> None:
    monkeypatch.setattr("mainland_chain.engines.embedded._OVERLAY_BYTES", 0 if grown else 10**9)
    engine = bench.open(Limits(block_interval_ms=50, block_transactions=2))
    fresh = []
    real = bench.application.begin_check
    monkeypatch.setattr(bench.application, "begin_check", lambda: (fresh.append(1), real())[1])
    await engine.start()
    device = await bench.with_device(engine)
    outcomes = await asyncio.gather(*(engine.submit(r, Stage.COMMITTED) for r in bench.batches(device, 12)))
    assert all(o.result.ok for o in outcomes)
    assert bool(fresh) is grown


async def test_an_unexpected_error_in_a_check_hurts_only_that_transaction(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = bench.open()
    await engine.start()
    real: Callable[[bytes], bytes] = bench.application.precheck

    def broken(raw: bytes) -> bytes:
        if raw == b"poison":
            raise ZeroDivisionError
        return real(raw)

    monkeypatch.setattr(bench.application, "precheck", broken)
    with pytest.raises(Fatal):
        await engine.submit(b"poison", Stage.COMMITTED)
    assert (await engine.submit(bench.kit.asset().raw, Stage.COMMITTED)).result.ok


async def test_a_refused_transaction_leaves_no_trace(bench: Bench) -> None:
    engine = bench.open()
    await engine.start()
    with pytest.raises(PreconditionFailed):
        await engine.submit(bench.kit.device(Device("dev-1", SigningMode.BATCH)).raw, Stage.COMMITTED)
    assert engine.head() is None and engine.pending == 0
