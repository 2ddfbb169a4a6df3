"""Credential registry and the offering rules that read it."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from mint_world import NOW, ZERO, ZERO32, World, address, missing_role, reverts

CLAIM = keccak(b"claim of alice")


def issue(world: World, name: str = "alice", **changes: Any) -> None:
    values = {"account": address(name), "country": 344, "expiry": NOW + 100, "investor_class": 2, "claim_id": CLAIM}
    world.credentials.transact("issue", *{**values, **changes}.values(), sender=address("issuer of credentials"))


def test_issue(world: World) -> None:
    issue(world)
    assert world.credentials.credentialOf(address("alice")) == ((CLAIM, NOW + 100, 344, 2), False)
    assert world.credentials.isEligible(address("alice"))
    assert world.credentials.isVerified(address("alice"))
    assert world.credentials.investorCountry(address("alice")) == 344
    assert not world.credentials.isEligible(address("bob"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"account": ZERO}, ("InvalidAccount", ZERO)),
        ({"country": 0}, ("InvalidCountry", 0)),
        ({"country": 1000}, ("InvalidCountry", 1000)),
        ({"expiry": NOW}, ("ExpiryNotInFuture", NOW, NOW)),
        ({"investor_class": 0}, ("InvalidInvestorClass", 0)),
        ({"investor_class": 5}, ("InvalidInvestorClass", 5)),
        ({"claim_id": ZERO32}, ("InvalidClaimId",)),
    ],
)
def test_unsound_credentials_are_refused(world: World, changes: dict[str, Any], error: tuple[Any, ...]) -> None:
    with reverts(*error):
        issue(world, **changes)


def test_a_credential_expires(world: World) -> None:
    issue(world)
    world.evm.set_time(NOW + 99)
    assert world.credentials.isEligible(address("alice"))
    world.evm.set_time(NOW + 100)
    assert not world.credentials.isEligible(address("alice"))
    issue(world, expiry=NOW + 200)
    assert world.credentials.isEligible(address("alice"))


def test_revocation_hits_every_wallet_of_the_claim_for_ever(world: World) -> None:
    issue(world)
    issue(world, "alice's other wallet")
    world.credentials.transact("revoke", CLAIM, sender=address("revoker"))
    for name in ("alice", "alice's other wallet"):
        assert not world.credentials.isEligible(address(name))
        assert world.credentials.isRevoked(address(name))
    with reverts("ClaimAlreadyRevoked", CLAIM):
        issue(world)
    with reverts("ClaimAlreadyRevoked", CLAIM):
        world.credentials.transact("revoke", CLAIM, sender=address("revoker"))


def test_a_claim_can_be_revoked_before_it_is_used(world: World) -> None:
    world.credentials.transact("revoke", CLAIM, sender=address("revoker"))
    with reverts("ClaimAlreadyRevoked", CLAIM):
        issue(world)


def test_the_zero_claim_cannot_be_revoked(world: World) -> None:
    with reverts("InvalidClaimId"):
        world.credentials.transact("revoke", ZERO32, sender=address("revoker"))
    assert not world.credentials.isRevoked(address("nobody"))


def test_roles(world: World) -> None:
    for name in ("admin", "revoker", "mallory"):
        with missing_role(address(name), "CREDENTIAL_ISSUER_ROLE"):
            world.credentials.transact("issue", address(name), 344, NOW + 1, 1, CLAIM, sender=address(name))
    for name in ("admin", "issuer of credentials", "mallory"):
        with missing_role(address(name), "CREDENTIAL_REVOKER_ROLE"):
            world.credentials.transact("revoke", CLAIM, sender=address(name))


# ------------------------------------------------------------------------------------------------ offering rules


def rule(world: World, function: str, *arguments: Any) -> None:
    world.rules.transact(function, *arguments, sender=address("rules"))


def test_excluded_country(ready: World) -> None:
    bob = ready.admit("bob", country=840)
    alice = ready.mint_to("alice", 10)
    rule(ready, "setCountryExcluded", 840, True)
    with reverts("ERC7943CannotTransfer", alice, bob, 1):
        ready.token.transact("transfer", bob, 1, sender=alice)
    with reverts("ERC7943CannotTransfer", ZERO, bob, 1):
        ready.mint_to("bob", 1)
    rule(ready, "setCountryExcluded", 840, False)
    ready.token.transact("transfer", bob, 1, sender=alice)


def test_least_investor_class(ready: World) -> None:
    retail, professional = ready.admit("bob", investor_class=1), ready.admit("carol", investor_class=2)
    rule(ready, "setRules", 2, 0)
    assert not ready.rules.canTransfer(ZERO, retail, 1)
    assert ready.rules.canTransfer(ZERO, professional, 1)


def test_largest_holding(ready: World) -> None:
    alice = ready.mint_to("alice", 10)
    bob = ready.admit("bob")
    rule(ready, "setRules", 0, 7)
    ready.token.transact("transfer", bob, 7, sender=alice)
    with reverts("ERC7943CannotTransfer", alice, bob, 1):
        ready.token.transact("transfer", bob, 1, sender=alice)
    assert not ready.rules.canTransfer(ZERO, bob, 2**256 - 1)
    assert ready.rules.canTransfer(bob, bob, 7)


def test_rules_need_their_role(world: World) -> None:
    for name in ("admin", "mallory"):
        with missing_role(address(name), "RULES_ROLE"):
            world.rules.transact("setRules", 1, 1, sender=address(name))
        with missing_role(address(name), "RULES_ROLE"):
            world.rules.transact("setCountryExcluded", 840, True, sender=address(name))


def test_binding(world: World) -> None:
    rules, token = world.rules, world.token.address
    assert rules.isTokenBound(token)
    assert rules.getTokenBound() == token.lower()
    assert not rules.isTokenBound(ZERO)
    with reverts("AlreadyBound", token):
        rules.transact("bindToken", address("x"), sender=address("admin"))
    for function in ("bindToken", "unbindToken"):
        with reverts("NotTokenOrAdmin", address("mallory")):
            rules.transact(function, token, sender=address("mallory"))
    with reverts("NotBoundToken", address("x")):
        rules.transact("unbindToken", address("x"), sender=address("admin"))
    rules.transact("unbindToken", token, sender=address("admin"))
    world.admit("alice")
    assert not rules.canTransfer(ZERO, address("alice"), 1)


@pytest.mark.parametrize(
    ("function", "arguments"), [("transferred", (ZERO, ZERO, 1)), ("created", (ZERO, 1)), ("destroyed", (ZERO, 1))]
)
def test_hooks_are_for_the_bound_token(world: World, function: str, arguments: tuple[Any, ...]) -> None:
    with reverts("NotBoundToken", address("admin")):
        world.rules.transact(function, *arguments, sender=address("admin"))
