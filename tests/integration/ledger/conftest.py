from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_kit import BROKER, NOTARY, ORIGINATOR, REGULATOR, Kit, Running

from mainland_chain.app import LedgerNode
from mainland_chain.home import LedgerHome


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Keys and certificates take a second to make: once is enough."""
    return Kit.create(tmp_path_factory.mktemp("ledger") / "home")


@pytest.fixture
def kit(founded: Kit, tmp_path: Path) -> Kit:
    shutil.copytree(founded.home.folder, tmp_path / "home")
    return replace(founded, home=LedgerHome(tmp_path / "home"))


@pytest.fixture
async def ledger(kit: Kit) -> AsyncIterator[Running]:
    """A running ledger and a connection for each kind of member."""
    node = LedgerNode.build(kit.home.config())
    await node.start()
    members = (ORIGINATOR, BROKER, NOTARY, REGULATOR)
    running = Running(kit, node, {m: kit.client(node, m) for m in members})
    yield running
    for client in running.clients.values():
        await client.close()
    await node.stop()
