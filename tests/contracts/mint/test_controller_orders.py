"""Minting and redeeming: the way it goes, and every reason for refusing it."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from mint_world import ASSET, DAY_MS, LOCK, LOCK_UNITS, MAX_AGE, NOW, NOW_MS, World, address, key, reverts

from hk_l2.typed_data import Domain, sign_digest

ORDER = keccak(b"order 1")


def test_four_yeses_mint(ready: World) -> None:
    ready.mint()
    events = {event.name: event.values for event in ready.evm.events()}
    assert events["Minted"] == {
        "orderId": ORDER,
        "lockRef": LOCK,
        "assetRef": ASSET,
        "recipient": address("alice").lower(),
        "units": 100,
        "decisionHash": keccak(b"transfer decision"),
    }
    assert ready.token.balanceOf(address("alice")) == ready.token.totalSupply() == 100
    assert ready.controller.orderState(ORDER) == (True, address("alice").lower(), 100)
    info = ready.lock_info()
    assert (info["units"], info["minted"], info["mintable"], info["redeemed"]) == (400, 100, 300, 0)


def test_domain_separator_is_that_of_the_protocol(world: World) -> None:
    assert world.controller.domainSeparator() == world.domain.separator()
    assert world.controller.destination() == world.domain.destination()


def test_paused(ready: World) -> None:
    ready.controller.transact("pause", sender=address("guardian"))
    with reverts("EnforcedPause"):
        ready.mint()
    with reverts("EnforcedPause"):
        ready.controller.transact("redeem", LOCK, 1, sender=address("alice"))


def test_frozen_light_client(ready: World) -> None:
    ready.mint()
    ready.light_client.transact("setFrozen", True)
    with reverts("LightClientFrozen"):
        ready.mint(ready.order(order_id=keccak(b"order 2")))
    with reverts("LightClientFrozen"):
        ready.controller.transact("redeem", LOCK, 1, sender=address("alice"))


def test_zero_units(ready: World) -> None:
    with reverts("ZeroUnits"):
        ready.mint(ready.order(units=0))


def test_an_order_is_carried_out_once(ready: World) -> None:
    ready.mint()
    with reverts("OrderUsed", ORDER):
        ready.mint()
    with reverts("OrderUsed", ORDER):
        ready.mint(ready.order(units=1))


def test_deadline(ready: World) -> None:
    late = ready.order(deadline=NOW - 1)
    with reverts("OrderExpired", ORDER, NOW - 1):
        ready.mint(late)
    ready.mint(ready.order(deadline=NOW))


def test_unknown_lock(ready: World) -> None:
    with reverts("LockUnknown", keccak(b"none")):
        ready.mint(ready.order(lock_ref=keccak(b"none")))


def with_second_lock(ready: World, **changes: object) -> bytes:
    lock_ref = keccak(b"lock 2")
    ready.prove(ready.lock_claim().but(lockRef=lock_ref, units=100, **changes))
    return lock_ref


def test_expired_lock(ready: World) -> None:
    lock_ref = with_second_lock(ready, expiryMs=NOW_MS + 500, approvalExpiryMs=NOW_MS + 2000)
    ready.mint(ready.order(lock_ref=lock_ref, units=1))
    ready.evm.set_time(NOW + 1)
    with reverts("LockExpired", lock_ref, NOW_MS + 500):
        ready.mint(ready.order(order_id=keccak(b"order 2"), lock_ref=lock_ref, units=1))


def test_expired_approval(ready: World) -> None:
    lock_ref = with_second_lock(ready, approvalExpiryMs=NOW_MS + 1000)
    ready.evm.set_time(NOW + 1)
    with reverts("ApprovalExpired", lock_ref, NOW_MS + 1000):
        ready.mint(ready.order(lock_ref=lock_ref))


@pytest.mark.parametrize("excess", [1, 2**64 - LOCK_UNITS, 2**256 - 1 - LOCK_UNITS])
def test_capacity(ready: World, excess: int) -> None:
    units = LOCK_UNITS + excess
    with reverts("CapacityExceeded", LOCK, LOCK_UNITS, units):
        ready.mint(ready.order(units=units))
    ready.mint(ready.order(units=LOCK_UNITS))
    with reverts("CapacityExceeded", LOCK, 0, 1):
        ready.mint(ready.order(order_id=keccak(b"order 2"), units=1))


def test_redeemed_units_give_no_capacity(ready: World) -> None:
    ready.mint(ready.order(units=LOCK_UNITS))
    ready.controller.transact("redeem", LOCK, 50, sender=address("alice"))
    with reverts("CapacityExceeded", LOCK, 0, 1):
        ready.mint(ready.order(order_id=keccak(b"order 2"), units=1))


def test_stale_telemetry(ready: World) -> None:
    limit = (NOW_MS - 2000) // 1000 + MAX_AGE
    clearance = ready.clearance(expiry=NOW + 10**6)
    ready.evm.set_time(limit + 1)
    with reverts("TelemetryStale", ASSET):
        ready.mint(clearance=clearance)
    ready.evm.set_time(limit)
    ready.mint(clearance=clearance)


def test_no_telemetry(world: World) -> None:
    world.prove(world.asset_claim())
    world.prove(world.lock_claim())
    with reverts("TelemetryStale", ASSET):
        world.mint()


def test_order_not_signed_by_the_issuer(ready: World) -> None:
    order = ready.order()
    altered = ready.sign_order(ready.order(units=99))
    for signature in (ready.sign_order(order, "mallory"), altered, b"", bytes(65), ready.sign_order(order)[:64]):
        with reverts("InvalidIssuerSignature", ORDER, address("issuer")):
            ready.mint(order, order_signature=signature)


def test_order_signed_for_another_controller_or_chain(ready: World) -> None:
    order = ready.order()
    for domain in (Domain(2, ready.controller.address), Domain(1, ready.token.address)):
        signature = sign_digest(key("issuer").to_bytes(), domain.order_digest(order))
        with reverts("InvalidIssuerSignature", ORDER, address("issuer")):
            ready.mint(order, order_signature=signature)


def test_issuer_may_be_a_contract(ready: World) -> None:
    wallet = ready.evm.deploy("WalletDouble", address("wallet owner"))
    lock_ref = with_second_lock(ready, issuer=wallet.address)
    order = ready.order(lock_ref=lock_ref, units=5)
    with reverts("InvalidIssuerSignature", ORDER, wallet.address):
        ready.mint(order)
    ready.mint(order, order_signature=ready.sign_order(order, "wallet owner"))


def test_expired_clearance(ready: World) -> None:
    with reverts("ClearanceExpired", ORDER, NOW - 1):
        ready.mint(clearance=ready.clearance(expiry=NOW - 1))
    ready.mint(clearance=ready.clearance(expiry=NOW))


def test_too_few_clearance_signatures(ready: World) -> None:
    for names in ((), ("signer a",)):
        signatures = ready.sign_clearance(ready.order(), ready.clearance(), *names) if names else []
        with reverts("ClearanceThresholdNotMet", len(names), 2):
            ready.mint(signatures=signatures)


def test_one_signer_counts_once(ready: World) -> None:
    (one,) = ready.sign_clearance(ready.order(), ready.clearance(), "signer a")
    with reverts("ClearanceSignersNotIncreasing", address("signer a"), address("signer a")):
        ready.mint(signatures=[one, one])
    with reverts("ClearanceSignersNotIncreasing", address("signer a"), address("signer a")):
        ready.mint(signatures=[one, one, one])


def test_clearance_signers_must_rise(ready: World) -> None:
    low, high = ready.in_order("signer a", "signer b")
    signatures = ready.sign_clearance(ready.order(), ready.clearance(), low, high)
    with reverts("ClearanceSignersNotIncreasing", address(high), address(low)):
        ready.mint(signatures=signatures[::-1])


def test_clearance_by_a_stranger(ready: World) -> None:
    signatures = ready.sign_clearance(ready.order(), ready.clearance(), "signer a", "mallory")
    with reverts("NotComplianceSigner", address("mallory")):
        ready.mint(signatures=signatures)


def test_a_stranger_beyond_the_threshold_is_refused_too(ready: World) -> None:
    signatures = ready.sign_clearance(ready.order(), ready.clearance(), "signer a", "signer b", "mallory")
    with reverts("NotComplianceSigner", address("mallory")):
        ready.mint(signatures=signatures)


def test_more_signers_than_needed_are_fine(ready: World) -> None:
    ready.mint(signatures=ready.sign_clearance(ready.order(), ready.clearance(), *ready.signers))


def test_clearance_of_something_else(ready: World) -> None:
    """Each field of the clearance is signed: a signature over another value names another signer."""
    order, clearance = ready.order(), ready.clearance()
    others = [
        (ready.order(order_id=keccak(b"order 2")), clearance),
        (ready.order(lock_ref=keccak(b"lock 2")), clearance),
        (ready.order(recipient=address("bob")), clearance),
        (ready.order(units=99), clearance),
        (order, ready.clearance(decision_hash=keccak(b"other decision"))),
        (order, ready.clearance(expiry=NOW + 3601)),
    ]
    for signed_order, signed_clearance in others:
        (first, _) = ready.sign_clearance(signed_order, signed_clearance)
        (_, second) = ready.sign_clearance(order, clearance)
        with pytest.raises(Exception, match=r"NotComplianceSigner|ClearanceSignersNotIncreasing"):
            ready.mint(order, clearance, signatures=[first, second])
    ready.mint(order, clearance)


@pytest.mark.parametrize("broken", [b"", bytes(64), bytes(65), b"\xff" * 65])
def test_malformed_clearance_signature(ready: World, broken: bytes) -> None:
    first, _ = ready.sign_clearance(ready.order(), ready.clearance())
    with reverts("InvalidClearanceSignature", 1):
        ready.mint(signatures=[first, broken])


def test_malleated_clearance_signature(ready: World) -> None:
    first, second = ready.sign_clearance(ready.order(), ready.clearance())
    n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = (n - int.from_bytes(second[32:64], "big")).to_bytes(32, "big")
    with reverts("InvalidClearanceSignature", 1):
        ready.mint(signatures=[first, second[:32] + s + bytes([55 - second[64]])])


def test_recipient_not_eligible(ready: World) -> None:
    with reverts("RecipientNotEligible", address("bob")):
        ready.mint(ready.order(recipient=address("bob")))
    ready.credentials.transact("revoke", keccak(b"alice"), sender=address("revoker"))
    with reverts("RecipientNotEligible", address("alice")):
        ready.mint()


def test_token_not_registered(world: World) -> None:
    world.prove(world.asset_claim())
    world.prove(world.telemetry_claim())
    world.prove(world.lock_claim())
    world.admit("alice")
    with reverts("TokenNotRegistered", ASSET):
        world.mint()


def test_a_refusal_of_the_token_undoes_everything(ready: World) -> None:
    ready.token.transact("setAddressFrozen", address("alice"), True, sender=address("freezer"))
    with reverts("ERC7943CannotReceive", address("alice")):
        ready.mint()
    assert ready.lock_info()["mintable"] == LOCK_UNITS
    assert not ready.controller.orderState(ORDER)[0]


# -------------------------------------------------------------------------------------------------------- redeem


def test_redeem_burns_and_counts(ready: World) -> None:
    alice = ready.mint_to("alice", 100)
    assert ready.controller.transact("redeem", LOCK, 30, sender=alice) == 1
    event = next(event for event in ready.evm.events() if event.name == "Redeemed")
    assert event.values == {
        "redemptionId": 1,
        "lockRef": LOCK,
        "assetRef": ASSET,
        "holder": alice.lower(),
        "units": 30,
    }
    assert ready.token.balanceOf(alice) == ready.token.totalSupply() == 70
    info = ready.lock_info()
    assert (info["minted"], info["mintable"], info["redeemed"]) == (70, 300, 30)
    assert ready.asset_info()["encumberedUnits"] == 370
    assert ready.controller.transact("redeem", LOCK, 70, sender=alice) == 2


def test_redeem_refusals(ready: World) -> None:
    alice = ready.mint_to("alice", 100)
    with reverts("ZeroUnits"):
        ready.controller.transact("redeem", LOCK, 0, sender=alice)
    with reverts("LockUnknown", keccak(b"none")):
        ready.controller.transact("redeem", keccak(b"none"), 1, sender=alice)
    with reverts("RedemptionExceedsMinted", LOCK, 100, 101):
        ready.controller.transact("redeem", LOCK, 101, sender=alice)
    with reverts("ERC20InsufficientBalance", address("bob"), 0, 1):
        ready.controller.transact("redeem", LOCK, 1, sender=address("bob"))


def test_frozen_tokens_cannot_be_redeemed(ready: World) -> None:
    alice = ready.mint_to("alice", 100)
    ready.token.transact("setFrozenTokens", alice, 80, sender=address("freezer"))
    with reverts("ERC7943InsufficientUnfrozenBalance", alice, 21, 20):
        ready.controller.transact("redeem", LOCK, 21, sender=alice)
    ready.token.transact("setAddressFrozen", alice, True, sender=address("freezer"))
    with reverts("ERC7943CannotSend", alice):
        ready.controller.transact("redeem", LOCK, 1, sender=alice)


def test_a_holder_with_an_expired_credential_can_still_redeem(ready: World) -> None:
    alice = ready.mint_to("alice", 100)
    ready.evm.set_time(NOW + 10**8)
    assert not ready.credentials.isEligible(alice)
    assert ready.controller.transact("redeem", LOCK, 100, sender=alice) == 1


def test_released_units_can_be_locked_again(ready: World) -> None:
    alice = ready.mint_to("alice", 145)
    ready.prove(ready.lock_claim().but(lockRef=keccak(b"lock 2"), units=600))
    third = ready.lock_claim().but(lockRef=keccak(b"lock 3"), units=145, expiryMs=NOW_MS + DAY_MS)
    with reverts("AssetUnitsExceeded", ASSET, 1145, 1000):
        ready.prove(third)
    ready.controller.transact("redeem", LOCK, 145, sender=alice)
    ready.prove(third)
    assert ready.asset_info()["encumberedUnits"] == 1000
