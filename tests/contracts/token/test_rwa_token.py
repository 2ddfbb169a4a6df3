"""RWAToken: ERC-20 under permission, ERC-3643, ERC-7943."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from mint_world import ASSET, LOCK, ZERO, World, address, missing_role, reverts

FREEZER, ENFORCER, PAUSER, ADMIN = (address(name) for name in ("freezer", "enforcer", "pauser", "admin"))


@pytest.fixture
def held(ready: World) -> World:
    """Alice holds 100; Bob is eligible and holds nothing."""
    ready.mint_to("alice", 100)
    ready.admit("bob")
    return ready


ALICE, BOB, MALLORY = address("alice"), address("bob"), address("mallory")


def names(world: World) -> list[str]:
    return [event.name for event in world.evm.events()]


def test_identity(held: World) -> None:
    token = held.token
    assert (token.call("name"), token.symbol(), token.decimals(), token.version()) == (
        "PV Revenue Right 1",
        "PVR1",
        0,
        "1.0.0",
    )
    assert (token.assetRef(), token.controller()) == (ASSET, held.controller.address.lower())
    assert (token.identityRegistry(), token.compliance()) == (
        held.credentials.address.lower(),
        held.rules.address.lower(),
    )
    assert token.onchainID() == ZERO


@pytest.mark.parametrize(
    ("interface", "supported"),
    [("3edbb4c4", True), ("01ffc9a7", True), ("36372b07", True), ("7965db0b", True), ("ffffffff", False)],
)
def test_erc165(world: World, interface: str, supported: bool) -> None:
    assert world.token.supportsInterface(bytes.fromhex(interface)) is supported


def test_erc7943_interface_id_is_that_of_the_standard() -> None:
    signatures = (
        "forcedTransfer(address,address,uint256)",
        "setFrozenTokens(address,uint256)",
        "canSend(address)",
        "canReceive(address)",
        "getFrozenTokens(address)",
        "canTransfer(address,address,uint256)",
    )
    value = 0
    for signature in signatures:
        value ^= int.from_bytes(keccak(signature.encode())[:4], "big")
    assert value == 0x3EDBB4C4


# ------------------------------------------------------------------------------------------------ supply


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("mint", (ALICE, 1)), ("burn", (ALICE, 1)), ("batchMint", ([ALICE], [1])), ("batchBurn", ([ALICE], [1]))],
)
def test_only_the_controller_mints_and_burns(held: World, function: str, arguments: tuple[Any, ...]) -> None:
    for sender in (ADMIN, ENFORCER, ALICE):
        with reverts("NotController", sender):
            held.token.transact(function, *arguments, sender=sender)


# ------------------------------------------------------------------------------------------------ transfers


def test_transfer_between_eligible_holders(held: World) -> None:
    assert held.token.canTransfer(ALICE, BOB, 60)
    held.token.transact("transfer", BOB, 60, sender=ALICE)
    held.token.transact("approve", BOB, 40, sender=ALICE)
    held.token.transact("transferFrom", ALICE, BOB, 40, sender=BOB)
    assert held.token.balanceOf(BOB) == 100


def test_recipient_must_be_eligible(held: World) -> None:
    assert not held.token.canTransfer(ALICE, MALLORY, 1)
    assert not held.token.canReceive(MALLORY)
    with reverts("ERC7943CannotReceive", MALLORY):
        held.token.transact("transfer", MALLORY, 1, sender=ALICE)
    held.token.transact("approve", BOB, 1, sender=ALICE)
    with reverts("ERC7943CannotReceive", MALLORY):
        held.token.transact("transferFrom", ALICE, MALLORY, 1, sender=BOB)


def test_expired_holder_may_leave_but_not_receive(held: World) -> None:
    held.token.transact("transfer", BOB, 10, sender=ALICE)
    held.evm.set_time(held.evm.timestamp + 10**8)
    assert held.token.canSend(ALICE)
    assert not held.token.canReceive(ALICE)


def test_revoked_holder_may_not_send(held: World) -> None:
    held.credentials.transact("revoke", keccak(b"alice"), sender=address("revoker"))
    assert not held.token.canSend(ALICE)
    assert not held.token.canTransfer(ALICE, BOB, 1)
    with reverts("ERC7943CannotSend", ALICE):
        held.token.transact("transfer", BOB, 1, sender=ALICE)


def test_zero_address_neither_sends_nor_receives(held: World) -> None:
    assert not held.token.canSend(ZERO)
    assert not held.token.canReceive(ZERO)


def test_batch_transfer(held: World) -> None:
    held.admit("carol")
    held.token.transact("batchTransfer", [BOB, address("carol")], [1, 2], sender=ALICE)
    assert held.token.balanceOf(address("carol")) == 2
    with reverts("ERC20InsufficientBalance", ALICE, 97, 98):
        held.token.transact("batchTransfer", [BOB], [98], sender=ALICE)


# ------------------------------------------------------------------------------------------------ freezing


def test_frozen_account(held: World) -> None:
    held.token.transact("setAddressFrozen", ALICE, True, sender=FREEZER)
    assert held.token.isFrozen(ALICE)
    with reverts("ERC7943CannotSend", ALICE):
        held.token.transact("transfer", BOB, 1, sender=ALICE)
    held.token.transact("setAddressFrozen", ALICE, False, sender=FREEZER)
    held.token.transact("setAddressFrozen", BOB, True, sender=FREEZER)
    with reverts("ERC7943CannotReceive", BOB):
        held.token.transact("transfer", BOB, 1, sender=ALICE)


def test_frozen_tokens(held: World) -> None:
    held.token.transact("setFrozenTokens", ALICE, 70, sender=FREEZER)
    assert names(held) == ["Frozen", "TokensFrozen"]
    assert (held.token.getFrozenTokens(ALICE), held.token.unfrozenBalanceOf(ALICE)) == (70, 30)
    assert held.token.canTransfer(ALICE, BOB, 30)
    assert not held.token.canTransfer(ALICE, BOB, 31)
    with reverts("ERC7943InsufficientUnfrozenBalance", ALICE, 31, 30):
        held.token.transact("transfer", BOB, 31, sender=ALICE)
    with reverts("ERC20InsufficientBalance", ALICE, 100, 101):
        held.token.transact("transfer", BOB, 101, sender=ALICE)
    held.token.transact("transfer", BOB, 30, sender=ALICE)
    held.token.transact("setFrozenTokens", ALICE, 0, sender=FREEZER)
    assert names(held) == ["Frozen", "TokensUnfrozen"]


def test_more_than_the_balance_can_be_frozen_ahead(held: World) -> None:
    held.token.transact("setFrozenTokens", BOB, 50, sender=FREEZER)
    held.token.transact("transfer", BOB, 60, sender=ALICE)
    assert held.token.unfrozenBalanceOf(BOB) == 10


def test_partial_freezing(held: World) -> None:
    held.token.transact("freezePartialTokens", ALICE, 60, sender=FREEZER)
    held.token.transact("freezePartialTokens", ALICE, 40, sender=FREEZER)
    with reverts("FreezeExceedsBalance", ALICE, 101, 100):
        held.token.transact("freezePartialTokens", ALICE, 1, sender=FREEZER)
    held.token.transact("unfreezePartialTokens", ALICE, 99, sender=FREEZER)
    with reverts("UnfreezeExceedsFrozen", ALICE, 2, 1):
        held.token.transact("unfreezePartialTokens", ALICE, 2, sender=FREEZER)


def test_batch_freezing(held: World) -> None:
    held.token.transact("batchFreezePartialTokens", [ALICE], [10], sender=FREEZER)
    held.token.transact("batchUnfreezePartialTokens", [ALICE], [4], sender=FREEZER)
    held.token.transact("batchSetAddressFrozen", [ALICE, BOB], [True, False], sender=FREEZER)
    assert (held.token.getFrozenTokens(ALICE), held.token.isFrozen(ALICE)) == (6, True)


# ------------------------------------------------------------------------------------------------ enforcement


def test_forced_transfer_unfreezes_first_and_only_what_it_needs(held: World) -> None:
    held.token.transact("setFrozenTokens", ALICE, 70, sender=FREEZER)
    held.token.transact("forcedTransfer", ALICE, BOB, 50, sender=ENFORCER)
    assert names(held) == ["Frozen", "TokensUnfrozen", "Transfer", "ForcedTransfer"]
    assert (held.token.balanceOf(ALICE), held.token.getFrozenTokens(ALICE)) == (50, 50)


def test_forced_transfer_within_the_unfrozen_part(held: World) -> None:
    held.token.transact("setFrozenTokens", ALICE, 70, sender=FREEZER)
    held.token.transact("forcedTransfer", ALICE, BOB, 30, sender=ENFORCER)
    assert names(held) == ["Transfer", "ForcedTransfer"]
    assert held.token.getFrozenTokens(ALICE) == 70


def test_forced_transfer_keeps_what_was_frozen_ahead(held: World) -> None:
    held.token.transact("setFrozenTokens", ALICE, 150, sender=FREEZER)
    held.token.transact("forcedTransfer", ALICE, BOB, 40, sender=ENFORCER)
    assert held.token.getFrozenTokens(ALICE) == 110


def test_forced_transfer_to_oneself_does_not_unfreeze(held: World) -> None:
    """ethereum/ERCs #1778: the reference implementation let this unfreeze."""
    held.token.transact("setFrozenTokens", ALICE, 100, sender=FREEZER)
    with reverts("ForcedTransferToSelf", ALICE):
        held.token.transact("forcedTransfer", ALICE, ALICE, 100, sender=ENFORCER)
    with reverts("ForcedTransferToSelf", ALICE):
        held.token.transact("batchForcedTransfer", [ALICE], [ALICE], [100], sender=ENFORCER)
    assert held.token.getFrozenTokens(ALICE) == 100


def test_forced_transfer_needs_an_eligible_recipient(held: World) -> None:
    for recipient in (MALLORY, ZERO):
        with reverts("ERC7943CannotReceive", recipient):
            held.token.transact("forcedTransfer", ALICE, recipient, 1, sender=ENFORCER)


def test_forced_transfer_beyond_the_balance(held: World) -> None:
    held.token.transact("setFrozenTokens", ALICE, 100, sender=FREEZER)
    with reverts("ERC20InsufficientBalance", ALICE, 100, 101):
        held.token.transact("forcedTransfer", ALICE, BOB, 101, sender=ENFORCER)


def test_forced_transfer_from_a_frozen_revoked_holder_while_paused(held: World) -> None:
    held.token.transact("setAddressFrozen", ALICE, True, sender=FREEZER)
    held.credentials.transact("revoke", keccak(b"alice"), sender=address("revoker"))
    held.token.transact("pause", sender=PAUSER)
    held.token.transact("batchForcedTransfer", [ALICE, ALICE], [BOB, BOB], [60, 40], sender=ENFORCER)
    assert held.token.balanceOf(BOB) == 100


def test_recovery_moves_all_with_its_freezes(held: World) -> None:
    fresh = held.admit("alice's new wallet", claim="alice")
    held.token.transact("setFrozenTokens", ALICE, 120, sender=FREEZER)
    held.token.transact("setAddressFrozen", ALICE, True, sender=FREEZER)
    held.token.transact("recoveryAddress", ALICE, fresh, ZERO, sender=ENFORCER)
    assert names(held)[-1] == "RecoverySuccess"
    assert (held.token.balanceOf(ALICE), held.token.balanceOf(fresh)) == (0, 100)
    assert (held.token.getFrozenTokens(ALICE), held.token.getFrozenTokens(fresh)) == (0, 120)
    assert held.token.isFrozen(fresh)


def test_recovery_refusals(held: World) -> None:
    fresh = held.admit("alice's new wallet", claim="alice")
    with reverts("RecoveryClaimMismatch", ALICE, BOB):
        held.token.transact("recoveryAddress", ALICE, BOB, ZERO, sender=ENFORCER)
    with reverts("RecoveryClaimMismatch", MALLORY, address("nobody")):
        held.token.transact("recoveryAddress", MALLORY, address("nobody"), ZERO, sender=ENFORCER)
    with reverts("NothingToRecover", fresh):
        held.token.transact("recoveryAddress", fresh, ALICE, ZERO, sender=ENFORCER)


# ------------------------------------------------------------------------------------------------ roles, pause, setters

PRIVILEGED: list[tuple[str, tuple[Any, ...], str]] = [
    ("pause", (), "PAUSER_ROLE"),
    ("unpause", (), "PAUSER_ROLE"),
    ("setAddressFrozen", (ALICE, True), "FREEZER_ROLE"),
    ("setFrozenTokens", (ALICE, 1), "FREEZER_ROLE"),
    ("freezePartialTokens", (ALICE, 1), "FREEZER_ROLE"),
    ("unfreezePartialTokens", (ALICE, 1), "FREEZER_ROLE"),
    ("batchSetAddressFrozen", ([ALICE], [True]), "FREEZER_ROLE"),
    ("batchFreezePartialTokens", ([ALICE], [1]), "FREEZER_ROLE"),
    ("batchUnfreezePartialTokens", ([ALICE], [1]), "FREEZER_ROLE"),
    ("forcedTransfer", (ALICE, BOB, 1), "ENFORCER_ROLE"),
    ("batchForcedTransfer", ([ALICE], [BOB], [1]), "ENFORCER_ROLE"),
    ("recoveryAddress", (ALICE, BOB, ZERO), "ENFORCER_ROLE"),
    ("setName", ("x",), "DEFAULT_ADMIN_ROLE"),
    ("setSymbol", ("x",), "DEFAULT_ADMIN_ROLE"),
    ("setOnchainID", (ALICE,), "DEFAULT_ADMIN_ROLE"),
    ("setIdentityRegistry", (ALICE,), "DEFAULT_ADMIN_ROLE"),
    ("setCompliance", (ALICE,), "DEFAULT_ADMIN_ROLE"),
]


@pytest.mark.parametrize(("function", "arguments", "role"), PRIVILEGED)
def test_privileged_functions_need_their_role(
    world: World, function: str, arguments: tuple[Any, ...], role: str
) -> None:
    holders = {"PAUSER_ROLE": PAUSER, "FREEZER_ROLE": FREEZER, "ENFORCER_ROLE": ENFORCER, "DEFAULT_ADMIN_ROLE": ADMIN}
    for other, holder in {**holders, "": world.controller.address, "none": MALLORY}.items():
        if other not in (role, ""):
            with missing_role(holder, role):
                world.token.transact(function, *arguments, sender=holder)


@pytest.mark.parametrize(
    ("function", "lists"),
    [
        ("batchTransfer", ([ALICE], [])),
        ("batchForcedTransfer", ([ALICE], [BOB], [])),
        ("batchForcedTransfer", ([ALICE], [], [])),
        ("batchForcedTransfer", ([], [BOB], [1])),
        ("batchSetAddressFrozen", ([ALICE], [])),
        ("batchFreezePartialTokens", ([ALICE], [])),
        ("batchUnfreezePartialTokens", ([ALICE], [])),
    ],
)
def test_batches_need_lists_of_one_length(world: World, function: str, lists: tuple[Any, ...]) -> None:
    sender = ENFORCER if "Forced" in function else FREEZER
    with reverts("BatchLengthMismatch"):
        world.token.transact(function, *lists, sender=sender)


def test_pause(held: World) -> None:
    held.token.transact("pause", sender=PAUSER)
    assert held.token.paused()
    assert not held.token.canTransfer(ALICE, BOB, 1)
    with reverts("EnforcedPause"):
        held.token.transact("transfer", BOB, 1, sender=ALICE)
    with reverts("EnforcedPause"):
        held.mint_to("alice", 5)
    with reverts("EnforcedPause"):
        held.controller.transact("redeem", LOCK, 1, sender=ALICE)
    held.token.transact("unpause", sender=PAUSER)
    held.token.transact("transfer", BOB, 1, sender=ALICE)


def test_setters(held: World) -> None:
    for function, value in (("setName", "New"), ("setSymbol", "NEW"), ("setOnchainID", BOB)):
        held.token.transact(function, value, sender=ADMIN)
        assert names(held) == ["UpdatedTokenInformation"]
    assert (held.token.call("name"), held.token.symbol(), held.token.onchainID()) == ("New", "NEW", BOB.lower())


def test_new_rules_replace_the_old_ones(held: World) -> None:
    rules = held.evm.deploy("TransferCompliance", held.credentials.address, ADMIN)
    held.token.transact("setCompliance", rules.address, sender=ADMIN)
    assert held.token.compliance() == rules.address.lower()
    assert rules.isTokenBound(held.token.address)
    assert not held.rules.isTokenBound(held.token.address)
    held.token.transact("transfer", BOB, 1, sender=ALICE)


def test_new_registry(held: World) -> None:
    registry = held.evm.deploy("CredentialRegistry", ADMIN)
    held.token.transact("setIdentityRegistry", registry.address, sender=ADMIN)
    with reverts("ERC7943CannotReceive", BOB):
        held.token.transact("transfer", BOB, 1, sender=ALICE)


@pytest.mark.parametrize("function", ["setIdentityRegistry", "setCompliance"])
def test_collaborators_must_be_contracts(world: World, function: str) -> None:
    with reverts("NotContract", MALLORY):
        world.token.transact(function, MALLORY, sender=ADMIN)


def test_the_controller_must_be_a_contract(world: World) -> None:
    rules = world.evm.deploy("TransferCompliance", world.credentials.address, ADMIN)
    with reverts("NotContract", MALLORY):
        world.deploy_token(ASSET, rules, MALLORY)


AMOUNTS = st.one_of(st.integers(0, 120), st.just(2**256 - 1))


@settings(max_examples=60, deadline=None)
@given(
    frozen=AMOUNTS,
    amount=AMOUNTS,
    account_frozen=st.booleans(),
    paused=st.booleans(),
    recipient=st.sampled_from([BOB, MALLORY, ALICE]),
)
def test_can_transfer_foretells_transfer(
    frozen: int, amount: int, account_frozen: bool, paused: bool, recipient: str
) -> None:
    """Where `canTransfer` says no, a transfer fails; where it says yes, only a lack of balance can stop it."""
    world = World().ready()
    world.mint_to("alice", 100)
    world.admit("bob")
    world.token.transact("setFrozenTokens", ALICE, frozen, sender=FREEZER)
    world.token.transact("setAddressFrozen", ALICE, account_frozen, sender=FREEZER)
    if paused:
        world.token.transact("pause", sender=PAUSER)
    allowed = world.token.canTransfer(ALICE, recipient, amount)
    if allowed and amount <= 100:
        world.token.transact("transfer", recipient, amount, sender=ALICE)
    elif allowed:
        with reverts("ERC20InsufficientBalance", ALICE, 100, amount):
            world.token.transact("transfer", recipient, amount, sender=ALICE)
    else:
        with pytest.raises(Exception, match=r"ERC7943|EnforcedPause|ERC20InsufficientBalance"):
            world.token.transact("transfer", recipient, amount, sender=ALICE)


# ------------------------------------------------------------------------------------------------ in the controller's name


@pytest.fixture
def own(world: World) -> World:
    """A world whose token is controlled by a contract that passes calls on."""
    world.caller = world.evm.deploy("CallerDouble")
    world.rules = world.evm.deploy("TransferCompliance", world.credentials.address, ADMIN)
    world.token = world.deploy_token(ASSET, world.rules, world.caller.address)
    world.admit("alice")
    world.admit("bob")
    return world


def as_controller(world: World, function: str, *arguments: Any) -> None:
    world.caller.transact("execute", world.token.address, world.token.encode(function, *arguments))


def test_batches_of_the_controller(own: World) -> None:
    as_controller(own, "batchMint", [ALICE, BOB], [10, 20])
    as_controller(own, "batchBurn", [ALICE, BOB], [1, 2])
    assert (own.token.balanceOf(ALICE), own.token.balanceOf(BOB), own.token.totalSupply()) == (9, 18, 27)
    for function in ("batchMint", "batchBurn"):
        for lists in (([ALICE], []), ([ALICE], [1, 1])):
            with reverts("BatchLengthMismatch"):
                as_controller(own, function, *lists)


def test_the_controller_cannot_burn_what_is_frozen(own: World) -> None:
    as_controller(own, "mint", ALICE, 10)
    own.token.transact("grantRole", keccak(b"FREEZER_ROLE"), FREEZER, sender=ADMIN)
    own.token.transact("setFrozenTokens", ALICE, 8, sender=FREEZER)
    with reverts("ERC7943InsufficientUnfrozenBalance", ALICE, 3, 2):
        as_controller(own, "burn", ALICE, 3)


def test_the_offering_rules_bind_mints_and_transfers(own: World) -> None:
    as_controller(own, "mint", ALICE, 10)
    own.rules.transact("unbindToken", own.token.address, sender=ADMIN)
    with reverts("ERC7943CannotTransfer", ALICE, BOB, 1):
        own.token.transact("transfer", BOB, 1, sender=ALICE)
    with reverts("ERC7943CannotTransfer", ZERO, ALICE, 1):
        as_controller(own, "mint", ALICE, 1)
    assert not own.token.canTransfer(ALICE, BOB, 1)


def test_hooks_answer_the_bound_token(own: World) -> None:
    own.rules.transact("unbindToken", own.token.address, sender=ADMIN)
    own.rules.transact("bindToken", own.caller.address, sender=ADMIN)
    for function, arguments in (("transferred", (ALICE, BOB, 1)), ("created", (BOB, 1)), ("destroyed", (BOB, 1))):
        own.caller.transact("execute", own.rules.address, own.rules.encode(function, *arguments))
