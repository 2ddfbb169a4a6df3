"""What the contracts of a deployment say at one block, and whether every token is backed by a lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hk_l2.abi_codec import contract_abi
from hk_l2.bindings import LightClientHead, LockInfo, MainlandLightClient, MintController, RWAToken
from hk_l2.chain import BlockStamp
from hk_l2.evm import EvmClient
from hk_l2.manifest import Deployment
from lianqiao_base.errors import Fatal

LOGS_PER_QUERY = 2_000
"""Blocks; many nodes refuse more."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as the controller keeps it."""

    lock_ref: bytes
    info: LockInfo

    @property
    def balanced(self) -> bool:
        """locked = minted + mintable + redeemed + lapsed."""
        i = self.info
        return i.units == i.minted + i.mintable + i.redeemed + i.lapsed


@dataclass(frozen=True, slots=True)
class Token:
    """A deployed token against the locks of its asset."""

    asset_ref: bytes
    address: str
    registered: bool
    supply: int
    minted: int
    """Sum over the asset's locks."""

    @property
    def backed(self) -> bool:
        """Every token in circulation was minted from a lock, and every minted unit is in circulation."""
        return self.supply == self.minted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it, read at one block."""

    block: BlockStamp
    ledger: bytes
    head: LightClientHead
    frozen: bool
    paused: bool
    threshold: int
    locks: tuple[Lock, ...]
    tokens: tuple[Token, ...]

    @property
    def solvent(self) -> bool:
        return all(lock.balanced for lock in self.locks) and all(token.backed for token in self.tokens)


def read_snapshot(client: EvmClient, deployment: Deployment) -> Snapshot:
    """Read everything at the newest block. Raises what the node's reads raise, and `Fatal("WRONG_NETWORK")`."""
    served = client.chain_id()
    if served != deployment.chain_id:
        raise Fatal("WRONG_NETWORK", f"the node serves chain {served}, not {deployment.chain_id}", hint="check the URL")
    at = client.block_stamp()
    if not client.code(deployment.mint_controller):
        raise Fatal(
            "CONTRACTS_GONE",
            "there is no code at the controller's address",
            subject=deployment.mint_controller,
            hint="was the chain reset? then deploy with a new manifest file",
        )
    light = MainlandLightClient(client, deployment.light_client)
    controller = MintController(client, deployment.mint_controller)
    locks = tuple(_locks(client, controller, deployment.first_block, at))
    tokens = []
    for asset_ref, address in deployment.tokens.items():
        asset = controller.asset_info(asset_ref, at)
        tokens.append(
            Token(
                asset_ref,
                address,
                asset is not None and asset.token == address,
                RWAToken(client, address).total_supply(at),
                sum(lock.info.minted for lock in locks if lock.info.asset_ref == asset_ref),
            )
        )
    return Snapshot(
        at,
        light.chain_id(at),
        light.head(at),
        light.frozen(at),
        controller.paused(at),
        controller.clearance_threshold(at),
        locks,
        tuple(tokens),
    )


def _locks(client: EvmClient, controller: MintController, first: int, at: BlockStamp) -> Iterator[Lock]:
    topic = contract_abi("MintController").topic("LockProven")
    for start in range(first, at.number + 1, LOGS_PER_QUERY):
        end = min(start + LOGS_PER_QUERY - 1, at.number)
        for log in client.logs(controller.address, [topic], start, end):
            lock_ref = log.topics[1]
            info = controller.lock_info(lock_ref, at)
            if info is not None:
                yield Lock(lock_ref, info)
