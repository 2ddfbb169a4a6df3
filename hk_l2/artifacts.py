"""Contract artifacts: ABI and bytecode as checked in under `hk_l2/abi`, loaded without any compiler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


class ArtifactNotFoundError(LookupError):
    """No artifact of that name is part of this package."""


@dataclass(frozen=True)
class Artifact:
    """One compiled (or generated) contract."""

    contract_name: str
    source_name: str
    """Path of the source below `hk_l2`."""
    abi: list[dict[str, Any]]
    bytecode: bytes
    """Creation code; constructor arguments follow it."""
    deployed_bytecode: bytes
    """Run-time code; immutables are zero."""
    source_hash: str
    """SHA-256 over the compiler settings and every source that went in."""


def parse(text: str) -> Artifact:
    """Reads the JSON of one artifact."""
    document = json.loads(text)
    return Artifact(
        contract_name=document["contractName"],
        source_name=document["sourceName"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        source_hash=document["sourceHash"],
    )


@cache
def load(name: str) -> Artifact:
    """Artifact of the contract `name`, for example `MainlandLightClient`."""
    resource = resources.files("hk_l2").joinpath("abi", f"{name}.json")
    if not resource.is_file():
        raise ArtifactNotFoundError(f"no artifact {name!r} in hk_l2/abi")
    return parse(resource.read_text(encoding="utf-8"))


def names() -> list[str]:
    """Names of all artifacts, sorted."""
    folder = resources.files("hk_l2").joinpath("abi")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
