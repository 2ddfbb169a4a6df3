"""Worlds for the delivery tests: deployed once per module on the embedded EVM, rolled back to that state for every test."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from hk_l2.evm import EvmClient, embedded
from tests.integration.delivery.delivery_world import World, embedded_world
from tests.unit.mainland_chain.light.simulated_ledger import SimulatedLedger


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, SimulatedLedger, int]:
    world = embedded_world(embedded(), tmp_path_factory.mktemp("world"))
    return world, world.ledger, snapshot(world.client)


@pytest.fixture
def world(deployed: tuple[World, SimulatedLedger, int], tmp_path: Path) -> Iterator[World]:
    base, ledger, point = deployed
    revert(base.client, point)
    world = copy.copy(base)
    world.folder = tmp_path
    world.ledger = copy.copy(ledger)
    world.ledger.claims, world.ledger.openings, world.ledger.rotations = [], [], []
    world.sender.restore([])
    yield world
    revert(base.client, point)


def _tester(client: EvmClient) -> object:
    return client.web3.provider.ethereum_tester  # type: ignore[attr-defined]


def snapshot(client: EvmClient) -> int:
    return int(_tester(client).take_snapshot())  # type: ignore[attr-defined]


def revert(client: EvmClient, point: int) -> None:
    _tester(client).revert_to_snapshot(point)  # type: ignore[attr-defined]
