"""The ledger process is killed at many instants: nothing acknowledged is lost, nothing comes twice, no two certificates conflict."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "integration" / "ledger"))

from ledger_kit import ORIGINATOR, Device, Kit

from mainland_chain.app import clock_ms
from mainland_chain.client import LedgerClient, RetryPolicy
from mainland_chain.engines.protocol import Outcome, Stage
from mainland_chain.home import init
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.state.block import Head
from mainland_chain.state.entities import SigningMode
from mainland_chain.store import SqlLedgerStore

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("ledger_process.py")
RANDOM_KILLS = 10
PATIENT = RetryPolicy(deadline_s=60.0, longest_delay_s=0.2)


class Process:
    """The ledger as a child process."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *crash: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), str(self._kit.home.config_path), *crash, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        # A crash point may be met while it recovers, before it serves.
        assert await self._process.stdout.readline() in (b"ready\n", b"")

    async def wait(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self.wait()


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    return Kit.open(init(tmp_path / "home", now_ms=clock_ms(), listen=listen, block_interval_ms=10))


def stored(kit: Kit) -> SqlLedgerStore:
    return SqlLedgerStore.open_file(kit.home.config().store.path, kit.home.genesis().chain_id)  # type: ignore[arg-type]


def head_of(kit: Kit) -> Head | None:
    store = stored(kit)
    try:
        return store.head()
    finally:
        store.close()


@pytest.mark.parametrize(
    ("point", "in_chain"),
    [("prepared", False), ("finalized", False), ("in-transaction", False), ("committed", True), ("certified", True)],
)
async def test_killed_at_an_exact_step(kit: Kit, point: str, in_chain: bool) -> None:
    process = Process(kit)
    await process.start(point, "3")
    device = Device("dev-1", SigningMode.BATCH)
    async with kit.home.client(ORIGINATOR, retry=PATIENT) as client:
        await client.submit(kit.asset().raw, Stage.CERTIFIED)
        await client.submit(kit.device(device).raw, Stage.CERTIFIED)
        before = device.batch(kit.builders[ORIGINATOR], 3)
        third = asyncio.create_task(client.submit(before.raw, Stage.CERTIFIED))
        assert await process.wait() == -signal.SIGKILL
        head = head_of(kit)
        assert head is not None and head.header.height == (3 if in_chain else 2)
        store = stored(kit)
        assert (store.transaction(before.tx_hash) is not None) is in_chain
        assert store.certified(3) is None or point == "certified"
        store.close()
        await process.start()
        outcome = await third
        assert outcome.result.ok and outcome.certified and outcome.height == 3
        if in_chain:
            assert (await client.checkpoint(3)).checkpoint.header_hash == head.header_hash
        await client.submit(device.batch(kit.builders[ORIGINATOR], 3).raw, Stage.CERTIFIED)
    assert await process.kill(signal.SIGTERM) == 0
    _check_chain(kit, {outcome.result.tx_hash: outcome}, {})


async def test_killed_at_random_under_load(kit: Kit) -> None:
    dice = random.Random(20260)
    process = Process(kit)
    await process.start()
    acknowledged: dict[bytes, Outcome] = {}
    followed: dict[int, CertifiedCheckpoint] = {}
    stop = asyncio.Event()
    async with kit.home.client(ORIGINATOR, retry=PATIENT) as client:
        await client.submit(kit.asset().raw)
        devices = [Device(f"dev-{i}", SigningMode.BATCH) for i in range(6)]
        for device in devices:
            await client.submit(kit.device(device).raw)
        load = [asyncio.create_task(_load(kit, client, d, acknowledged, stop)) for d in devices]
        follower = asyncio.create_task(_follow(client, followed))
        for kill in range(RANDOM_KILLS):
            done = len(acknowledged)
            await asyncio.sleep(dice.uniform(0.02, 0.6))
            await process.kill()
            head = head_of(kit)
            crash = (dice.choice(["finalized", "in-transaction", "committed"]), "0") if kill % 3 == 2 else ()
            await process.start(*crash)
            if crash:
                await process.wait()
                await process.start()
            recovered = await client.status()
            assert head is not None and recovered.height >= head.header.height
            await _until(lambda: len(acknowledged) > done)  # noqa: B023 - awaited here
        stop.set()
        await asyncio.gather(*load)
        newest = (await client.status()).height
        await _until(lambda: newest in followed)
        follower.cancel()
    assert await process.kill(signal.SIGTERM) == 0
    assert len(acknowledged) > RANDOM_KILLS
    _check_chain(kit, acknowledged, followed)
    # Each device waited for every outcome: what is acknowledged is all that was sent, and all that is stored.
    assert 3 * len(acknowledged) == sum(d.sequence for d in devices)
    assert _transactions(kit) == len(acknowledged) + 1 + len(devices)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the condition is a growing dict
            await asyncio.sleep(0.01)


def _transactions(kit: Kit) -> int:
    store = stored(kit)
    head = store.head()
    assert head is not None
    count = sum(len(store.result_leaves(height + 1)) for height in range(head.header.height))
    store.close()
    return count


async def _load(
    kit: Kit, client: LedgerClient, device: Device, acknowledged: dict[bytes, Outcome], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        outcome = await client.submit(device.batch(kit.builders[ORIGINATOR], 3).raw)
        assert outcome.result.ok
        acknowledged[outcome.result.tx_hash] = outcome


async def _follow(client: LedgerClient, followed: dict[int, CertifiedCheckpoint]) -> None:
    async for certified in client.checkpoints(1):
        followed[certified.checkpoint.height] = certified


def _check_chain(kit: Kit, acknowledged: dict[bytes, Outcome], followed: dict[int, CertifiedCheckpoint]) -> None:
    """Walk the whole chain as it is on disk."""
    genesis = kit.home.genesis()
    store = stored(kit)
    head = store.head()
    assert head is not None
    previous = genesis.chain_id
    places: collections.Counter[bytes] = collections.Counter()
    for height in range(1, head.header.height + 1):
        header = store.header_at(height)
        assert header is not None and header.previous_header_hash == previous
        previous = header.hash()
        certified = store.certified(height)
        assert certified is not None and certified.checkpoint == header.checkpoint()
        verify_certificate(certified.checkpoint, certified.certificate, genesis.validator_set())
        assert followed.get(height, certified).checkpoint == certified.checkpoint
        places.update(leaf[:32] for leaf in store.result_leaves(height))
    assert set(places.values()) == {1}
    for tx_hash, outcome in acknowledged.items():
        found = store.transaction(tx_hash)
        assert found is not None
        assert (found.height, found.index, found.result) == (outcome.height, outcome.index, outcome.result)
        record = store.record(found.result.record_id)
        assert record is not None and record.root == found.result.record_root
    assert sorted(followed) == list(range(1, len(followed) + 1))
    store.close()
