"""Everything the generators make, in the form `hk_l2.build` writes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RawContract:
    """A contract that is generated as EVM code."""

    name: str
    source_name: str
    runtime_code: bytes
    creation_code: bytes
    for_tests: bool = False


def solidity() -> dict[str, str]:
    """Generated Solidity, by path below the repository root."""
    return {}


def raw_contracts() -> list[RawContract]:
    """Generated contracts."""
    return []
