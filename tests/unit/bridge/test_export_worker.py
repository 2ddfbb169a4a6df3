"""The export worker: superseded packets come again, bad jobs stand alone, waiting ones wait longer, and it stops when told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.delivery.client import Receipt, Traced
from bridge.export.exporter import Exporter
from bridge.export.store import ExportJob, ExportStore, JobState, new_job
from bridge.export.worker import ExportWorker, WorkerSettings
from lianqiao_base.errors import (
    AlreadyExists,
    Fatal,
    LianqiaoError,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Retryable,
)
from mainland_chain.light.types import CertifiedCheckpoint

TO = bytes(31) + b"\x01"
PACKET = b"\x05" * 32
TAKEN = Receipt(PACKET, "verified", "")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ExportStore]:
    opened = ExportStore(f"sqlite:///{tmp_path / 'exports.sqlite3'}")
    yield opened
    opened.close()


def ask(store: ExportStore, number: int, kind: str = "AssetClaim") -> ExportJob:
    record = number.to_bytes(32, "big")
    return store.add(new_job(kind, (record,), ("b", "a"), TO, 1, filing_reference="F", approval_reference="A"))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited in vain")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Runner:
    """Does what a test tells it for each job, else delivers and finishes it."""

    store: ExportStore
    errors: dict[bytes, list[Exception]] = field(default_factory=dict)
    assets: dict[bytes, str] = field(default_factory=dict)
    ran: list[bytes] = field(default_factory=list)
    asked_series: int = 0

    def _meet(self, job: ExportJob) -> None:
        self.ran.append(job.job_id)
        errors = self.errors.get(job.job_id, [])
        if errors:
            raise errors.pop(0) if len(errors) > 1 else errors[0]

    async def run(self, job: ExportJob) -> ExportJob:
        self._meet(job)
        return self.store.update(job, state=JobState.DELIVERED, log_index=0, packet_id=job.job_id)

    async def follow(self, job: ExportJob) -> ExportJob:
        self._meet(job)
        return self.store.update(job, state=JobState.FINAL)

    async def series(self, job: ExportJob) -> str:
        self.asked_series += 1
        return self.assets.get(job.job_id, "asset")

    def note(self, job: ExportJob, reason: str) -> ExportJob:
        return self.store.update(job, reason=reason)


@dataclass
class Ledger:
    """Gives a checkpoint for everything put into the queue."""

    queue: asyncio.Queue[int | Exception] = field(default_factory=asyncio.Queue)
    asked_from: list[int] = field(default_factory=list)

    async def checkpoints(self, from_height: int = 0) -> AsyncIterator[CertifiedCheckpoint]:
        self.asked_from.append(from_height)
        while True:
            item = await self.queue.get()
            if isinstance(item, Exception):
                raise item
            yield cast("Any", type("C", (), {"checkpoint": type("P", (), {"height": item})}))


def worker(
    store: ExportStore, runner: Any, clock: Clock | None = None, ledger: Ledger | None = None, **settings: Any
) -> ExportWorker:
    return ExportWorker(runner, store, ledger or Ledger(), WorkerSettings(**settings), clock or time.monotonic)


async def test_every_job_reaches_its_end_and_is_not_asked_for_again(store: ExportStore) -> None:
    runner, clock = Runner(store), Clock()
    jobs = [ask(store, n) for n in range(3)]
    work = worker(store, runner, clock)
    await work.round()
    assert [store.get(j.job_id).state for j in jobs] == [JobState.DELIVERED] * 3
    await work.round()
    assert len(runner.ran) == 3, "a packet is asked about only after a moment"
    clock.now = 1.0
    await work.round()
    assert [store.get(j.job_id).state for j in jobs] == [JobState.FINAL] * 3
    clock.now = 1000.0
    assert not await work.round()
    assert len(runner.ran) == 6 and store.open_jobs() == ()


@pytest.mark.parametrize(
    ("error", "words"),
    [(Fatal("CLAIM_DIFFERS", "no"), "CLAIM_DIFFERS"), (KeyError("secret"), "INTERNAL: unexpected KeyError")],
)
async def test_a_bad_job_stands_alone(store: ExportStore, error: Exception, words: str) -> None:
    runner, clock = Runner(store), Clock()
    bad, good = ask(store, 1), ask(store, 2)
    runner.errors[bad.job_id] = [error]
    work = worker(store, runner, clock)
    for _ in range(3):
        await work.round()
        clock.now += 100
    assert store.get(good.job_id).state is JobState.FINAL
    assert runner.ran.count(bad.job_id) == 1
    kept = store.get(bad.job_id)
    assert kept.state is JobState.ASKED and words in kept.reason and "secret" not in kept.reason
    await worker(store, runner, clock).round()
    assert runner.ran.count(bad.job_id) == 2, "a new process tries it again"


@pytest.mark.parametrize("error", [Retryable("UNAVAILABLE", "away"), PermissionDenied("CLIENT_NOT_ALLOWED", "no")])
async def test_a_waiting_job_is_tried_ever_more_rarely(store: ExportStore, error: LianqiaoError) -> None:
    runner, clock = Runner(store), Clock()
    job = ask(store, 1)
    runner.errors[job.job_id] = [error]
    work = worker(store, runner, clock)
    for _ in range(600):
        await work.round()
        clock.now += 1.0
    assert 10 <= len(runner.ran) <= 20
    assert error.code in store.get(job.job_id).reason


async def test_a_round_is_bounded_and_says_that_more_is_due(store: ExportStore) -> None:
    runner = Runner(store)
    for number in range(5):
        ask(store, number)
    work = worker(store, runner, Clock(), jobs_per_round=2)
    assert [await work.round() for _ in range(3)] == [True, True, False]
    assert len(runner.ran) == 5


async def test_telemetry_of_one_asset_keeps_its_order(store: ExportStore) -> None:
    runner, clock = Runner(store), Clock()
    first, second, other = (ask(store, n, "TelemetryClaim") for n in range(3))
    plain = ask(store, 9)
    runner.assets[other.job_id] = "another"
    runner.errors[first.job_id] = [Retryable("UNAVAILABLE", "away")]
    work = worker(store, runner, clock)
    await work.round()
    await work.round()
    assert runner.ran == [first.job_id, other.job_id, plain.job_id]
    assert store.get(second.job_id).state is JobState.ASKED
    del runner.errors[first.job_id]
    clock.now = 1.0
    await work.round()
    assert runner.ran.index(second.job_id) > runner.ran.index(first.job_id)
    assert store.get(second.job_id).state is JobState.DELIVERED
    assert runner.asked_series == 3


async def test_a_stopped_telemetry_job_does_not_hold_up_its_series(store: ExportStore) -> None:
    runner = Runner(store)
    first, second = ask(store, 1, "TelemetryClaim"), ask(store, 2, "TelemetryClaim")
    runner.errors[first.job_id] = [Fatal("CLAIM_DIFFERS", "no")]
    await worker(store, runner).round()
    assert store.get(second.job_id).state is JobState.DELIVERED


async def test_it_works_until_told_to_stop_and_resumes_the_checkpoints(store: ExportStore) -> None:
    runner, ledger, stop = Runner(store), Ledger(), asyncio.Event()
    job = ask(store, 1)
    work = worker(store, runner, ledger=ledger, poll_s=0.01, first_delay_s=0.01)
    running = asyncio.create_task(work.watch(stop))
    for item in (7, Retryable("UNAVAILABLE", "away"), 8, ValueError("nonsense"), 9):
        ledger.queue.put_nowait(item)
    await until(lambda: store.get(job.job_id).state is JobState.FINAL and len(ledger.asked_from) == 3)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert ledger.asked_from == [0, 8, 9]


async def test_a_checkpoint_wakes_it(store: ExportStore) -> None:
    runner, ledger, stop = Runner(store), Ledger(), asyncio.Event()
    work = worker(store, runner, ledger=ledger, poll_s=3600)
    running = asyncio.create_task(work.watch(stop))
    await asyncio.sleep(0.05)
    job = ask(store, 1)
    ledger.queue.put_nowait(1)
    await until(lambda: store.get(job.job_id).state is JobState.DELIVERED)
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_call_that_hangs_is_cut_off_after_the_grace(store: ExportStore) -> None:
    class Hanging(Runner):
        async def run(self, job: ExportJob) -> ExportJob:
            self.ran.append(job.job_id)
            await asyncio.sleep(3600)
            return job

    runner, stop = Hanging(store), asyncio.Event()
    ask(store, 1)
    running = asyncio.create_task(worker(store, runner, grace_s=0.05).watch(stop))
    await until(lambda: bool(runner.ran))
    stop.set()
    await asyncio.wait_for(running, 5)


@dataclass
class Border:
    """Answers as told, oldest first; the last answer stays."""

    traced: list[tuple[str, str] | LianqiaoError]
    answer: Receipt | LianqiaoError = TAKEN
    handed_over: int = 0

    async def submit_packet(self, packet: object) -> Receipt:
        self.handed_over += 1
        if isinstance(self.answer, LianqiaoError):
            raise self.answer
        return self.answer

    async def trace(self, item_id: bytes) -> Traced:
        answer = self.traced.pop(0) if len(self.traced) > 1 else self.traced[0]
        if isinstance(answer, LianqiaoError):
            raise answer
        return Traced(item_id, "packet", *answer, "", (), b"")


def exporter(store: ExportStore, border: Border) -> Exporter:
    made = Exporter(
        ledger=cast("Any", None),
        builder=cast("Any", None),
        gate=cast("Any", None),
        policy=cast("Any", None),
        border=border,
        store=store,
        clock=lambda: 0,
    )

    async def packet(job: ExportJob) -> object:
        return job

    made.packet = packet  # type: ignore[assignment,method-assign]
    return made


def delivered(store: ExportStore) -> ExportJob:
    return store.update(ask(store, 1), state=JobState.DELIVERED, log_index=3, packet_id=PACKET)


async def test_superseded_then_handed_over_again_then_final(store: ExportStore) -> None:
    border = Border([("sent", ""), ("held", "CHECKPOINT_SUPERSEDED: height 9"), ("verified", ""), ("final", "")])
    job, clock = delivered(store), Clock()
    work = worker(store, exporter(store, border), clock)
    while store.get(job.job_id).state is not JobState.FINAL:
        await work.round()
        clock.now += 10
        assert clock.now < 1000
    assert border.handed_over == 1
    assert store.get(job.job_id).reason == ""


async def test_a_new_checkpoint_makes_a_superseded_packet_due_at_once(store: ExportStore) -> None:
    held = "CHECKPOINT_SUPERSEDED: height 9"
    border = Border([("held", held)], Receipt(PACKET, "held", held))
    job, ledger, stop = delivered(store), Ledger(), asyncio.Event()
    work = worker(store, exporter(store, border), Clock(), ledger, poll_s=3600)
    running = asyncio.create_task(work.watch(stop))
    await until(lambda: store.get(job.job_id).reason == held)
    assert border.handed_over == 1
    border.traced = [("final", "")]
    ledger.queue.put_nowait(10)
    await until(lambda: store.get(job.job_id).state is JobState.FINAL)
    stop.set()
    await asyncio.wait_for(running, 5)


@pytest.mark.parametrize(
    ("traced", "answer", "state", "words", "handed_over"),
    [
        (NotFound("ITEM_UNKNOWN", "gone"), None, JobState.DELIVERED, "", 1),
        (("refused", "LockExpired: late"), None, JobState.REFUSED, "LockExpired", 0),
        (("held", "ROOT_CONFLICT: fork"), None, JobState.DELIVERED, "ROOT_CONFLICT", 0),
        (("held", "CHECKPOINT_SUPERSEDED: x"), Rejected("CLAIM_EXPIRED", "late"), JobState.REFUSED, "CLAIM_EXPIRED", 1),
    ],
)
async def test_what_the_border_may_answer(
    store: ExportStore, traced: Any, answer: Any, state: JobState, words: str, handed_over: int
) -> None:
    border = Border([traced], *([answer] if answer else []))
    job = await exporter(store, border).follow(delivered(store))
    assert job.state is state and words in job.reason and border.handed_over == handed_over
    assert store.get(job.job_id) == job


@pytest.mark.parametrize("error", [PermissionDenied("CLIENT_NOT_ALLOWED", "no"), NotFound("OTHER", "no")])
async def test_an_unwelcome_process_refuses_no_job(store: ExportStore, error: LianqiaoError) -> None:
    job = delivered(store)
    work = worker(store, exporter(store, Border([error])))
    await work.round()
    assert store.get(job.job_id).state is JobState.DELIVERED and error.code in store.get(job.job_id).reason


def test_a_refused_job_is_taken_up_where_it_was_refused(store: ExportStore) -> None:
    job = store.update(ask(store, 1), state=JobState.DECIDED, transaction=b"tx", previewed="ab")
    with pytest.raises(PreconditionFailed, match="JOB_NOT_REFUSED"):
        store.ask_again(job)
    again = store.ask_again(store.update(job, state=JobState.REFUSED, reason="no"))
    assert (again.state, again.transaction, again.reason) == (JobState.ASKED, b"", "")
    logged = store.update(again, state=JobState.REFUSED, log_index=4, claim=b"claim", transaction=b"tx")
    again = store.ask_again(logged)
    assert (again.state, again.transaction, again.claim) == (JobState.LOGGED, b"tx", b"claim")


def test_two_processes_cannot_take_the_same_step(store: ExportStore) -> None:
    job = ask(store, 1)
    store.update(job, state=JobState.DECIDED, transaction=b"one")
    with pytest.raises(Fatal, match="JOB_CHANGED"):
        store.update(job, state=JobState.DECIDED, transaction=b"two")
    assert store.get(job.job_id).transaction == b"one"
    with pytest.raises(AlreadyExists):
        store.add(
            new_job("AssetClaim", job.record_ids, ("a", "b"), TO, 1, filing_reference="X", approval_reference="A")
        )
