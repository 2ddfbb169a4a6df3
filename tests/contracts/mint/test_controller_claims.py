"""Claims into the controller: what is recorded, and every reason for refusing one."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from mint_world import (
    ASSET,
    DAY_MS,
    LEDGER,
    LOCK,
    LOCK_UNITS,
    NOW_MS,
    PROFILE,
    UNIT_COUNT,
    ZERO,
    ZERO32,
    World,
    address,
    leaf_of,
    reverts,
)

KINDS = ("asset_claim", "telemetry_claim", "lock_claim")
FUNCTIONS = {"asset_claim": "proveAsset", "telemetry_claim": "proveTelemetry", "lock_claim": "proveLock"}


def prepared(world: World, kind: str) -> Any:
    """A claim of this kind that would be accepted."""
    if kind != "asset_claim":
        world.prove(world.asset_claim())
    return getattr(world, kind)()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_recorded_once(world: World, kind: str) -> None:
    claim = prepared(world, kind)
    assert world.prove(claim)
    assert world.evm.events()
    assert world.controller.claimRecorded(leaf_of(claim.encode()))
    assert not world.prove(claim)
    assert world.evm.events() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_that_is_not_in_the_log_is_refused(world: World, kind: str) -> None:
    claim = prepared(world, kind).encode()
    with reverts("ClaimNotInLog", leaf_of(claim), 3, 7):
        world.controller.transact(FUNCTIONS[kind], claim, 3, 7, [])
    world.log(claim)
    with reverts("ClaimNotInLog", leaf_of(claim), 7, 7):
        world.controller.transact(FUNCTIONS[kind], claim, 7, 7, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_of_another_ledger_is_refused(world: World, kind: str) -> None:
    with reverts("WrongLedger", keccak(b"other"), LEDGER):
        world.prove(prepared(world, kind).but(chainId=keccak(b"other")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_for_another_destination_is_refused(world: World, kind: str) -> None:
    with reverts("WrongDestination", keccak(b"elsewhere"), world.domain.destination()):
        world.prove(prepared(world, kind).but(destination=keccak(b"elsewhere")))


@pytest.mark.parametrize(("kind", "other"), [(a, b) for a in KINDS for b in KINDS if a != b])
def test_a_claim_of_another_type_is_refused(world: World, kind: str, other: str) -> None:
    claim = prepared(world, kind)
    with reverts("WrongClaimType", claim.envelope["claimType"], ...):
        world.prove(claim.encode(), FUNCTIONS[other])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [b"\x00", bytes(32), b"\x01" * 32])
def test_another_encoding_of_a_claim_is_refused(world: World, kind: str, tail: bytes) -> None:
    with reverts("ClaimNotCanonical"):
        world.prove(prepared(world, kind).encode() + tail, FUNCTIONS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 31, 63])
def test_a_stub_of_a_claim_is_refused(world: World, kind: str, length: int) -> None:
    with reverts("ClaimNotCanonical"):
        world.prove(getattr(world, kind)().encode()[:length], FUNCTIONS[kind])


def test_dirty_high_bytes_do_not_decode(world: World) -> None:
    claim = bytearray(world.asset_claim().encode())
    word = 32 + 32 * 10  # unitCount: after the offset, nine words of envelope and the profile
    assert int.from_bytes(claim[word : word + 32], "big") == UNIT_COUNT
    claim[word] = 1
    with reverts(""):
        world.prove(bytes(claim), "proveAsset")


# -------------------------------------------------------------------------------------------------------- assets


def test_an_asset_is_recorded(world: World) -> None:
    claim = world.asset_claim()
    world.prove(claim)
    info = world.asset_info()
    assert (info["leaf"], info["profile"], info["unitCount"]) == (leaf_of(claim.encode()), PROFILE, UNIT_COUNT)
    assert (info["encumberedUnits"], info["height"], info["token"]) == (0, 10, ZERO)


def test_an_asset_without_units_is_refused(world: World) -> None:
    with reverts("ZeroUnits"):
        world.prove(world.asset_claim().but(unitCount=0))


def test_a_newer_claim_updates_an_asset(ready: World) -> None:
    newer = ready.asset_claim().but(height=11, unitCount=LOCK_UNITS)
    assert ready.prove(newer)
    info = ready.asset_info()
    assert (info["unitCount"], info["height"]) == (LOCK_UNITS, 11)
    assert (info["encumberedUnits"], info["token"]) == (LOCK_UNITS, ready.token.address.lower())


@pytest.mark.parametrize("height", [9, 10])
def test_an_asset_never_goes_back(ready: World, height: int) -> None:
    with reverts("AssetClaimNotNewer", ASSET, height, 10):
        ready.prove(ready.asset_claim().but(height=height, unitCount=2000))


def test_an_asset_keeps_its_profile(ready: World) -> None:
    with reverts("AssetProfileChanged", ASSET, keccak(b"other"), PROFILE):
        ready.prove(ready.asset_claim().but(height=11, profile=keccak(b"other")))


def test_an_asset_cannot_shrink_below_its_locks(ready: World) -> None:
    with reverts("AssetUnitsExceeded", ASSET, LOCK_UNITS, LOCK_UNITS - 1):
        ready.prove(ready.asset_claim().but(height=11, unitCount=LOCK_UNITS - 1))


# -------------------------------------------------------------------------------------------------------- telemetry


def test_telemetry_reaches_the_feed(ready: World) -> None:
    assert ready.feed.latestRound(ASSET) == 1
    assert ready.feed.isFresh(ASSET, ready.evm.timestamp)


def test_telemetry_of_an_unknown_asset_is_refused(world: World) -> None:
    with reverts("AssetUnknown", ASSET):
        world.prove(world.telemetry_claim())


def test_an_interval_cannot_end_after_the_block_that_reports_it(world: World) -> None:
    world.prove(world.asset_claim())
    with reverts("IntervalInFuture", ASSET, NOW_MS - 2000):
        world.prove(world.telemetry_claim().but(timeMs=NOW_MS - 2001))


def test_an_interval_cannot_end_in_the_future(world: World) -> None:
    world.prove(world.asset_claim())
    with reverts("IntervalInFuture", ASSET, NOW_MS + 1):
        world.prove(world.telemetry_claim().but(timeMs=NOW_MS + 9000, intervalEndMs=NOW_MS + 1))
    world.prove(world.telemetry_claim().but(timeMs=NOW_MS + 9000, intervalEndMs=NOW_MS))


@pytest.mark.parametrize(("readings", "flagged"), [(0, 0), (4, 5)])
def test_reading_counts_must_make_sense(world: World, readings: int, flagged: int) -> None:
    world.prove(world.asset_claim())
    with reverts("InvalidReadingCounts", readings, flagged):
        world.prove(world.telemetry_claim().but(readingCount=readings, flaggedCount=flagged))


# -------------------------------------------------------------------------------------------------------- locks


def test_a_lock_gives_capacity(ready: World) -> None:
    info = ready.lock_info()
    assert (info["assetRef"], info["issuer"]) == (ASSET, address("issuer").lower())
    assert (info["units"], info["minted"], info["mintable"], info["redeemed"], info["lapsed"]) == (400, 0, 400, 0, 0)
    assert (info["approvalExpiryMs"], info["expiryMs"]) == (NOW_MS + 60 * DAY_MS, NOW_MS + 30 * DAY_MS)
    assert ready.asset_info()["encumberedUnits"] == LOCK_UNITS


def test_the_filing_reference_is_in_the_event(world: World) -> None:
    world.prove(world.asset_claim())
    world.prove(world.lock_claim())
    assert world.evm.events()[0].values["filingReference"] == "CSRC-2026-001"


def test_a_lock_of_an_unknown_asset_is_refused(world: World) -> None:
    with reverts("AssetUnknown", ASSET):
        world.prove(world.lock_claim())


def test_another_claim_for_the_same_lock_is_refused(ready: World) -> None:
    known = leaf_of(ready.lock_claim().encode())
    other = ready.lock_claim().but(units=LOCK_UNITS + 1)
    with reverts("LockConflict", LOCK, leaf_of(other.encode()), known):
        ready.prove(other)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"lockRef": ZERO32}, ("InvalidLockRef",)),
        ({"units": 0}, ("ZeroUnits",)),
        ({"issuer": ZERO}, ("InvalidIssuer",)),
        ({"filingReference": ""}, ("MissingFilingReference",)),
        ({"approvalExpiryMs": NOW_MS}, ("ApprovalExpired", LOCK, NOW_MS)),
        ({"expiryMs": NOW_MS}, ("LockExpired", LOCK, NOW_MS)),
        ({"units": UNIT_COUNT + 1}, ("AssetUnitsExceeded", ASSET, UNIT_COUNT + 1, UNIT_COUNT)),
        ({"units": 2**64 - 1}, ("AssetUnitsExceeded", ASSET, 2**64 - 1, UNIT_COUNT)),
    ],
)
def test_an_unsound_lock_is_refused(world: World, changes: dict[str, Any], error: tuple[Any, ...]) -> None:
    world.prove(world.asset_claim())
    with reverts(*error):
        world.prove(world.lock_claim().but(**changes))


def test_locks_of_an_asset_add_up(ready: World) -> None:
    second = ready.lock_claim().but(lockRef=keccak(b"lock 2"), units=UNIT_COUNT - LOCK_UNITS + 1)
    with reverts("AssetUnitsExceeded", ASSET, UNIT_COUNT + 1, UNIT_COUNT):
        ready.prove(second)
    ready.prove(second.but(units=UNIT_COUNT - LOCK_UNITS))
    assert ready.asset_info()["encumberedUnits"] == UNIT_COUNT


def test_an_expired_lock_lapses_once_and_frees_its_asset(ready: World) -> None:
    ready.mint()
    expiry_ms = NOW_MS + 30 * DAY_MS
    with reverts("LockNotExpired", LOCK, expiry_ms):
        ready.controller.transact("lapse", LOCK)
    ready.evm.set_time(expiry_ms // 1000)
    ready.controller.transact("lapse", LOCK)
    info = ready.lock_info()
    assert (info["minted"], info["mintable"], info["redeemed"], info["lapsed"]) == (100, 0, 0, 300)
    assert ready.asset_info()["encumberedUnits"] == 100
    with reverts("LockAlreadyLapsed", LOCK):
        ready.controller.transact("lapse", LOCK)
    with reverts("LockUnknown", keccak(b"none")):
        ready.controller.transact("lapse", keccak(b"none"))


def test_unknown_things_read_as_zero(world: World) -> None:
    assert not any(world.controller.lockInfo(LOCK)[3:])
    assert world.asset_info()["unitCount"] == 0
    assert world.controller.orderState(keccak(b"order")) == (False, ZERO, 0)
