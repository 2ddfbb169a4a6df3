"""Fixtures of the EVM client."""

from __future__ import annotations

import pytest
from evm_chain import Chain, build

from hk_l2 import evm, network


@pytest.fixture
def chain() -> Chain:
    """The embedded EVM, fresh for each test."""
    client = evm.embedded()
    return build(client, evm.dev_key(client, 0), network.load("embedded"))
