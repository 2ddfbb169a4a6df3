"""Worlds for the delivery tests: deployed once per module on the embedded EVM, rolled back to that state for every test."""

from __future__ import annotations

import copy
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
def world(deployed: tuple[World, SimulatedLedger, int], tmp_path: Path) -> World:
    return fresh(deployed, tmp_path)


@pytest.fixture(scope="module")
def module_world(deployed: tuple[World, SimulatedLedger, int], tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for all tests of a module: its tests must not use `world` beside it."""
    return fresh(deployed, tmp_path_factory.mktemp("module"))


def fresh(deployed: tuple[World, SimulatedLedger, int], folder: Path) -> World:
    base, ledger, point = deployed
    revert(base.client, point)
    world = copy.copy(base)
    world.folder = folder
    world.ledger = copy.copy(ledger)
    world.ledger.claims, world.ledger.openings, world.ledger.rotations = [], [], []
    world.sender.restore([])
    return world


def _tester(client: EvmClient) -> object:
    return client.web3.provider.ethereum_tester  # type: ignore[attr-defined]


def snapshot(client: EvmClient) -> int:
    return int(_tester(client).take_snapshot())  # type: ignore[attr-defined]


def revert(client: EvmClient, point: int) -> None:
    _tester(client).revert_to_snapshot(point)  # type: ignore[attr-defined]
