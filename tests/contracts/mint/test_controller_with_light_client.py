"""The controller with the real light client: an SM2 certificate, inclusion proofs, a mint; and a frozen client."""

from __future__ import annotations

import pytest
from evm_harness import Evm, load_artifact
from mainland import Deployment, Ledger, bitmap_of, members, sign
from merkle_reference import Tree
from mint_world import LEDGER, NOW, World, address, leaf_of, reverts


@pytest.fixture
def certified() -> tuple[World, Ledger, list[bytes], Tree]:
    """A ledger of four organisations whose log holds seven claims, three of them ours; its checkpoint is accepted."""
    evm = Evm(NOW)
    ledger = Ledger(members(4), chain_id=LEDGER)
    client = Deployment.create(evm, load_artifact("SM2QuorumVerifier").bytecode).client(ledger)
    world = World(evm=evm, real_light_client=client)
    claims = [claim.encode() for claim in (world.asset_claim(), world.telemetry_claim(), world.lock_claim())]
    leaves = [leaf_of(b"other %d" % i) for i in range(4)] + [leaf_of(claim) for claim in claims]
    tree = Tree(leaves)
    arguments = ledger.certified(log_size=7, log_root=tree.root())
    client.transact("update", *arguments)
    ledger.advance(arguments)
    return world, ledger, claims, tree


FUNCTIONS = ("proveAsset", "proveTelemetry", "proveLock")


def test_certificate_proofs_mint(certified: tuple[World, Ledger, list[bytes], Tree]) -> None:
    world, _, claims, tree = certified
    for i, (function, claim) in enumerate(zip(FUNCTIONS, claims, strict=True)):
        assert world.controller.transact(function, claim, 4 + i, 7, tree.inclusion(4 + i, 7))
    world.controller.transact(
        "registerToken", world.asset_claim().envelope["assetRef"], world.token.address, sender=address("asset admin")
    )
    world.admit("alice")
    world.mint()
    assert world.token.balanceOf(address("alice")) == 100


def test_wrong_proofs(certified: tuple[World, Ledger, list[bytes], Tree]) -> None:
    world, _, claims, tree = certified
    proof, claim = tree.inclusion(4, 7), claims[0]
    flipped = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
    for index, bad in (
        (3, proof),
        (5, proof),
        (4, proof[:-1]),
        (4, [*proof, bytes(32)]),
        (4, []),
        (4, flipped),
        (7, proof),
    ):
        with reverts("ClaimNotInLog", leaf_of(claim), index, 7):
            world.controller.transact("proveAsset", claim, index, 7, bad)
    with reverts("UnknownLogSize", 6):
        world.controller.transact("proveAsset", claim, 4, 6, tree.inclusion(4, 6))
    unlogged = world.asset_claim().but(unitCount=10**9).encode()
    with reverts("ClaimNotInLog", leaf_of(unlogged), 4, 7):
        world.controller.transact("proveAsset", unlogged, 4, 7, proof)


def test_equivocation_stops_everything(certified: tuple[World, Ledger, list[bytes], Tree]) -> None:
    world, ledger, claims, tree = certified
    for i in range(3):
        world.controller.transact(FUNCTIONS[i], claims[i], 4 + i, 7, tree.inclusion(4 + i, 7))
    two = [ledger.checkpoint(log_root=bytes([i]) * 32) for i in (1, 2)]
    signed = [(c.values(), bitmap_of(ledger.quorum), sign(c, ledger.validators, ledger.quorum)) for c in two]
    world.light_client.transact("reportEquivocation", *signed[0], *signed[1])
    with reverts("LightClientFrozen"):
        world.mint()
    with reverts("ClientFrozen"):
        world.controller.transact("proveAsset", world.asset_claim().but(height=11).encode(), 0, 7, [])
