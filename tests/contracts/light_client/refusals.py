"""How the light client refuses."""

from __future__ import annotations

from typing import Any

import pytest
from evm_harness import Contract, Reverted


def refused(client: Contract, arguments: tuple[Any, ...], name: str, *values: Any, function: str = "update") -> None:
    """The call reverts with exactly this error, and changes nothing."""
    before = client.head(), client.rootOf(arguments[0][4])
    with pytest.raises(Reverted) as caught:
        client.transact(function, *arguments)
    assert caught.value.name == name
    if values:
        assert caught.value.values == values
    assert (client.head(), client.rootOf(arguments[0][4])) == before
