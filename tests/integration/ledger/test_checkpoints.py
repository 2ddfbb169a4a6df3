from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from ledger_kit import ORIGINATOR, Kit, Running

from lianqiao_base.errors import Retryable
from mainland_chain.app import LedgerNode
from mainland_chain.client import RetryPolicy
from mainland_chain.config import LedgerConfig
from mainland_chain.engines.protocol import Stage
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.light.types import CertifiedCheckpoint


async def grow(ledger: Running, blocks: int) -> None:
    device = await ledger.with_device()
    for _ in range(blocks - 2):
        await ledger.client.submit(ledger.batch(device).raw, Stage.CERTIFIED)


async def take(stream: AsyncIterator[CertifiedCheckpoint], count: int) -> list[CertifiedCheckpoint]:
    taken = []
    async with asyncio.timeout(10):
        async for certified in stream:
            taken.append(certified)
            if len(taken) == count:
                break
    return taken


async def test_the_stream_starts_at_any_height_and_goes_on(ledger: Running) -> None:
    await grow(ledger, 6)
    old = await take(ledger.client.checkpoints(1), 6)
    assert [c.checkpoint.height for c in old] == [1, 2, 3, 4, 5, 6]
    for certified in old:
        verify_certificate(certified.checkpoint, certified.certificate, ledger.node.application.validators)
        assert certified == await ledger.client.checkpoint(certified.checkpoint.height)
    assert [c.checkpoint.height for c in await take(ledger.client.checkpoints(4), 3)] == [4, 5, 6]
    ahead = asyncio.create_task(take(ledger.client.checkpoints(7), 2))
    new = asyncio.create_task(take(ledger.client.checkpoints(), 2))
    await asyncio.sleep(0.2)
    for asset in ("plant-2", "plant-3"):
        await ledger.client.submit(ledger.kit.asset(asset).raw, Stage.CERTIFIED)
    assert [c.checkpoint.height for c in await ahead] == [7, 8]
    assert [c.checkpoint.height for c in await new] == [7, 8]
    assert await ledger.client.checkpoint() == (await ahead)[-1]


async def test_more_than_a_page_comes_without_gaps(ledger: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainland_chain.engines.embedded._PAGE", 2)
    await grow(ledger, 7)
    assert [c.checkpoint.height for c in await take(ledger.client.checkpoints(1), 7)] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_slow_reader_misses_nothing(ledger: Running) -> None:
    heights = []

    async def slowly() -> None:
        async for certified in ledger.client.checkpoints(1):
            heights.append(certified.checkpoint.height)
            await asyncio.sleep(0.05)
            if len(heights) == 8:
                return

    reader = asyncio.create_task(slowly())
    await grow(ledger, 8)
    async with asyncio.timeout(10):
        await reader
    assert heights == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_the_client_follows_across_restarts(kit: Kit) -> None:
    node = LedgerNode.build(kit.home.config())
    await node.start()
    config = _at(kit.home.config(), node.server.address)
    seen: list[int] = []

    async def follow() -> None:
        async with kit.home.client(ORIGINATOR, target=config.server.listen, retry=RetryPolicy(20.0)) as client:
            async for certified in client.checkpoints(1):
                seen.append(certified.checkpoint.height)
                if len(seen) == 3:
                    return

    follower = asyncio.create_task(follow())
    for asset in ("plant-1", "plant-2", "plant-3"):
        async with kit.client(node) as client:
            await client.submit(kit.asset(asset).raw, Stage.CERTIFIED)
        await node.stop()
        node = LedgerNode.build(config)
        await node.start()
    async with asyncio.timeout(20):
        await follower
    await node.stop()
    assert seen == [1, 2, 3]


async def test_a_ledger_that_stays_away_is_retryable(kit: Kit) -> None:
    async with kit.home.client(ORIGINATOR, target="127.0.0.1:1", retry=RetryPolicy(0.3)) as client:
        with pytest.raises(Retryable):
            await client.status()
        with pytest.raises(Retryable):
            await anext(client.checkpoints(1))


def _at(config: LedgerConfig, address: str) -> LedgerConfig:
    return config.model_copy(update={"server": config.server.model_copy(update={"listen": address})})
