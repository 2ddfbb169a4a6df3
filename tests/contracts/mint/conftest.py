"""Fixtures of the mint side."""

from __future__ import annotations

import pytest
from mint_world import World


@pytest.fixture
def world() -> World:
    """Contracts deployed, nothing proven yet."""
    return World()


@pytest.fixture
def ready() -> World:
    """Everything in place to mint."""
    return World().ready()
