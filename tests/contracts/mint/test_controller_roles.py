"""Who may do what to the controller: pause and resume, signers and threshold, tokens."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from mint_world import ASSET, LOCK, ZERO, World, address, missing_role, reverts

GUARDIAN = keccak(b"GUARDIAN_ROLE")
RESUMER = keccak(b"RESUMER_ROLE")
SIGNER = keccak(b"COMPLIANCE_SIGNER_ROLE")


@pytest.mark.parametrize(
    ("function", "arguments", "role"),
    [
        ("pause", (), "GUARDIAN_ROLE"),
        ("unpause", (), "RESUMER_ROLE"),
        ("registerToken", (ASSET, ZERO), "ASSET_ADMIN_ROLE"),
        ("setClearanceThreshold", (1,), "COMPLIANCE_ADMIN_ROLE"),
        ("grantRole", (GUARDIAN, ZERO), "DEFAULT_ADMIN_ROLE"),
        ("revokeRole", (GUARDIAN, ZERO), "DEFAULT_ADMIN_ROLE"),
    ],
)
def test_privileged_functions_need_their_role(
    ready: World, function: str, arguments: tuple[Any, ...], role: str
) -> None:
    holders = {
        "GUARDIAN_ROLE": "guardian",
        "RESUMER_ROLE": "resumer",
        "ASSET_ADMIN_ROLE": "asset admin",
        "COMPLIANCE_ADMIN_ROLE": "compliance admin",
        "DEFAULT_ADMIN_ROLE": "admin",
    }
    for other, holder in {**holders, "none": "mallory"}.items():
        if other != role:
            with missing_role(address(holder), role):
                ready.controller.transact(function, *arguments, sender=address(holder))


def test_pause_and_resume(ready: World) -> None:
    ready.controller.transact("pause", sender=address("guardian"))
    assert ready.controller.paused()
    assert ready.controller.pausedBy() == address("guardian").lower()
    with reverts("EnforcedPause"):
        ready.controller.transact("pause", sender=address("guardian"))
    ready.controller.transact("unpause", sender=address("resumer"))
    ready.mint()
    with reverts("ExpectedPause"):
        ready.controller.transact("unpause", sender=address("resumer"))


def test_claims_are_still_taken_in_while_paused(ready: World) -> None:
    ready.controller.transact("pause", sender=address("guardian"))
    assert ready.prove(ready.lock_claim().but(lockRef=keccak(b"lock 2"), units=1))


def test_nobody_is_guardian_and_resumer(world: World) -> None:
    with reverts("RoleConflict", address("guardian"), RESUMER, GUARDIAN):
        world.controller.transact("grantRole", RESUMER, address("guardian"), sender=address("admin"))
    with reverts("RoleConflict", address("resumer"), GUARDIAN, RESUMER):
        world.controller.transact("grantRole", GUARDIAN, address("resumer"), sender=address("admin"))


def test_who_paused_cannot_resume_even_with_the_other_role(world: World) -> None:
    guardian, admin = address("guardian"), address("admin")
    world.controller.transact("pause", sender=guardian)
    world.controller.transact("revokeRole", GUARDIAN, guardian, sender=admin)
    world.controller.transact("grantRole", RESUMER, guardian, sender=admin)
    with reverts("PauserMayNotResume", guardian):
        world.controller.transact("unpause", sender=guardian)
    world.controller.transact("unpause", sender=address("resumer"))


@pytest.mark.parametrize("threshold", [0, 4, 2**256 - 1])
def test_threshold_is_between_one_and_the_number_of_signers(world: World, threshold: int) -> None:
    with reverts("InvalidThreshold", threshold, 3):
        world.controller.transact("setClearanceThreshold", threshold, sender=address("compliance admin"))


def test_threshold_counts(ready: World) -> None:
    ready.controller.transact("setClearanceThreshold", 3, sender=address("compliance admin"))
    with reverts("ClearanceThresholdNotMet", 2, 3):
        ready.mint()
    ready.mint(signatures=ready.sign_clearance(ready.order(), ready.clearance(), *ready.signers))


@pytest.mark.parametrize(("signers", "threshold"), [((), 0), ((), 1), (("a",), 0), (("a",), 2), (("a", "a"), 2)])
def test_constructor_refuses_a_threshold_that_cannot_be(signers: tuple[str, ...], threshold: int) -> None:
    with reverts("InvalidThreshold", threshold, len(set(signers))):
        World(signers=signers, threshold=threshold)


def test_signers_cannot_fall_below_the_threshold(world: World) -> None:
    admin = address("admin")
    world.controller.transact("revokeRole", SIGNER, address("signer a"), sender=admin)
    assert world.controller.complianceSignerCount() == 2
    with reverts("InvalidThreshold", 2, 1):
        world.controller.transact("revokeRole", SIGNER, address("signer b"), sender=admin)
    with reverts("InvalidThreshold", 2, 1):
        world.controller.transact("renounceRole", SIGNER, address("signer b"), sender=address("signer b"))
    world.controller.transact("grantRole", SIGNER, address("signer d"), sender=admin)
    world.controller.transact("grantRole", SIGNER, address("signer d"), sender=admin)
    assert world.controller.complianceSignerCount() == 3
    world.controller.transact("revokeRole", SIGNER, address("signer b"), sender=admin)
    world.controller.transact("revokeRole", SIGNER, address("signer b"), sender=admin)
    assert world.controller.complianceSignerCount() == 2


def test_a_revoked_signer_does_not_count(ready: World) -> None:
    ready.controller.transact("revokeRole", SIGNER, address("signer a"), sender=address("admin"))
    with reverts("NotComplianceSigner", address("signer a")):
        ready.mint(signatures=ready.sign_clearance(ready.order(), ready.clearance(), "signer a", "signer b"))


def test_a_token_is_registered_once(ready: World) -> None:
    assert ready.asset_info()["token"] == ready.token.address.lower()
    with reverts("TokenAlreadyRegistered", ASSET, ready.token.address):
        ready.controller.transact("registerToken", ASSET, ready.token.address, sender=address("asset admin"))


def test_only_the_right_token_is_registered(world: World) -> None:
    admin, controller = address("asset admin"), world.controller
    with reverts("AssetUnknown", ASSET):
        controller.transact("registerToken", ASSET, world.token.address, sender=admin)
    world.prove(world.asset_claim())
    with reverts("NotContract", address("alice")):
        controller.transact("registerToken", ASSET, address("alice"), sender=admin)
    stranger = world.evm.deploy("TokenDouble", address("mallory"), ASSET)
    with reverts("TokenControllerMismatch", stranger.address, address("mallory")):
        controller.transact("registerToken", ASSET, stranger.address, sender=admin)
    other = world.evm.deploy("TokenDouble", controller.address, keccak(b"other asset"))
    with reverts("TokenAssetMismatch", other.address, keccak(b"other asset")):
        controller.transact("registerToken", ASSET, other.address, sender=admin)


@pytest.mark.parametrize("missing", range(3))
def test_constructor_needs_contracts(world: World, missing: int) -> None:
    contracts = [world.light_client.address, world.feed.address, world.credentials.address]
    contracts[missing] = address("nobody")
    with reverts("NotContract", address("nobody")):
        world.evm.deploy("MintController", *contracts, address("admin"), [address("a")], 1)


def test_the_controller_holds_no_role_elsewhere(ready: World) -> None:
    for contract in (ready.token, ready.credentials, ready.feed, ready.rules):
        assert not contract.hasRole(bytes(32), ready.controller.address)


def test_lock_of_one_asset_does_not_mint_the_token_of_another(ready: World) -> None:
    other = keccak(b"asset 2")
    ready.prove(ready.asset_claim().but(assetRef=other))
    rules = ready.evm.deploy("TransferCompliance", ready.credentials.address, address("admin"))
    token = ready.deploy_token(other, rules)
    ready.controller.transact("registerToken", other, token.address, sender=address("asset admin"))
    ready.mint()
    assert token.totalSupply() == 0
    assert ready.lock_info(LOCK)["minted"] == ready.token.totalSupply() == 100
