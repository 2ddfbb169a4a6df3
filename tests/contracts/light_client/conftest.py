"""One deployment for all light client tests; every test starts from the same state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from evm_harness import Contract, Evm, load_artifact
from mainland import Deployment, Ledger, members


@pytest.fixture(scope="session")
def shared_deployment() -> Deployment:
    deployment = Deployment.create(Evm(), load_artifact("SM2QuorumVerifier").bytecode)
    deployment.tables(members(10))
    return deployment


@pytest.fixture
def deployment(shared_deployment: Deployment) -> Iterator[Deployment]:
    """Registry and verifier, with the keys of `members(10)` registered."""
    with shared_deployment.evm.undo():
        yield shared_deployment


@pytest.fixture
def ledger() -> Ledger:
    """Four validators."""
    return Ledger(members(4))


@pytest.fixture
def client(deployment: Deployment, ledger: Ledger) -> Contract:
    """A light client of `ledger` at genesis."""
    return deployment.client(ledger)
