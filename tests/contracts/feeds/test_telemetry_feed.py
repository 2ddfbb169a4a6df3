"""Telemetry feed and its AggregatorV3 facades."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from evm_harness import Contract
from mint_world import ASSET, LEDGER, MAX_AGE, NOW, NOW_MS, World, address, missing_role, reverts

HOUR_MS = 3_600_000


def record_next(world: World, **changes: Any) -> None:
    """An hour after the first interval, unless changed."""
    world.evm.set_time(world.evm.timestamp + 3600)
    claim = world.telemetry_claim().but(intervalStartMs=NOW_MS - 2000, cumulativeEnergyWh=91_000)
    world.prove(claim.but(**changes))


def facade(world: World) -> Contract:
    return Contract(world.evm, "AssetEnergyFeed", world.feed.assetFeed(ASSET))


def test_rounds_follow_each_other(ready: World) -> None:
    record_next(ready)
    assert ready.feed.latestRound(ASSET) == 2
    assert ready.feed.roundOf(ASSET, 1)[:4] == (NOW_MS - HOUR_MS, NOW_MS - 2000, 500, 90_500)
    assert ready.feed.roundOf(ASSET, 2) == (NOW_MS - 2000, NOW_MS + HOUR_MS - 2000, 500, 91_000, NOW + 3600, 4, 1)


def test_facade_speaks_aggregator_v3(ready: World) -> None:
    record_next(ready)
    feed = facade(ready)
    assert (feed.decimals(), feed.version(), feed.description()) == (0, 1, "Cumulative energy / Wh")
    assert (feed.telemetry(), feed.assetRef()) == (ready.feed.address.lower(), ASSET)
    first = (1, 90_500, NOW - 3600, NOW - 2, 1)
    second = (2, 91_000, NOW - 2, NOW + 3600 - 2, 2)
    assert (feed.getRoundData(1), feed.getRoundData(2), feed.latestRoundData()) == (first, second, second)


@pytest.mark.parametrize("round_id", [0, 2, 2**80 - 1])
def test_no_data_reverts(ready: World, round_id: int) -> None:
    with reverts("NoData", ASSET, round_id):
        ready.feed.roundOf(ASSET, round_id)
    with reverts("NoData", ASSET, round_id):
        facade(ready).getRoundData(round_id)


def test_asset_without_rounds(world: World) -> None:
    with reverts("NoData", ASSET, 0):
        world.feed.roundOf(ASSET, 0)
    assert world.feed.latestRound(ASSET) == 0
    assert not world.feed.isFresh(ASSET, 0)


def test_freshness_is_the_age_of_the_measurement(ready: World) -> None:
    end = NOW - 2
    assert ready.feed.isFresh(ASSET, end + MAX_AGE)
    assert not ready.feed.isFresh(ASSET, end + MAX_AGE + 1)


@pytest.mark.parametrize("start", [NOW_MS - 2001, NOW_MS - HOUR_MS])
def test_intervals_never_overlap(ready: World, start: int) -> None:
    with reverts("IntervalNotMonotonic", ASSET, start, NOW_MS - 2000):
        record_next(ready, intervalStartMs=start)


@pytest.mark.parametrize("end", [NOW_MS - 2000, NOW_MS - 2001])
def test_empty_interval(ready: World, end: int) -> None:
    with reverts("EmptyInterval", NOW_MS - 2000, end):
        record_next(ready, intervalEndMs=end)


@pytest.mark.parametrize("cumulative", [90_999, 91_001, 0])
def test_cumulative_energy_adds_up(ready: World, cumulative: int) -> None:
    with reverts("CumulativeMismatch", ASSET, cumulative, 91_000):
        record_next(ready, cumulativeEnergyWh=cumulative)


def test_cumulative_energy_does_not_wrap(ready: World) -> None:
    with reverts("CumulativeMismatch", ASSET, 90_499, 90_500 + 2**64 - 1):
        record_next(ready, energyWh=2**64 - 1, cumulativeEnergyWh=90_499)


def test_first_round_sets_the_base(world: World) -> None:
    world.prove(world.asset_claim())
    with reverts("CumulativeMismatch", ASSET, 499, 500):
        world.prove(world.telemetry_claim().but(cumulativeEnergyWh=499))
    world.prove(world.telemetry_claim().but(cumulativeEnergyWh=500))


def test_only_the_controller_records(ready: World) -> None:
    for sender in ("admin", "feed admin", "mallory"):
        with reverts("NotController", address(sender)):
            ready.feed.transact("record", keccak(b"x"), (1, 2, 3, 3, 0, 1, 0), sender=address(sender))


def test_the_controller_is_bound_once(world: World) -> None:
    with reverts("ControllerAlreadyBound", world.controller.address):
        world.feed.transact("bindController", world.light_client.address, sender=address("admin"))
    fresh = world.evm.deploy("TelemetryFeed", address("admin"), MAX_AGE)
    with missing_role(address("feed admin"), "DEFAULT_ADMIN_ROLE"):
        fresh.transact("bindController", world.controller.address, sender=address("feed admin"))
    with reverts("InvalidController", address("nobody")):
        fresh.transact("bindController", address("nobody"), sender=address("admin"))
    double = world.evm.deploy("LightClientDouble", LEDGER)
    fresh.transact("bindController", double.address, sender=address("admin"))
    assert fresh.controller() == double.address.lower()


@pytest.mark.parametrize("max_age", [0, 299, 31 * 86_400 + 1])
def test_max_age_has_bounds(world: World, max_age: int) -> None:
    with reverts("MaxAgeOutOfBounds", max_age, 300, 31 * 86_400):
        world.feed.transact("setMaxAge", max_age, sender=address("feed admin"))
    with reverts("MaxAgeOutOfBounds", max_age, 300, 31 * 86_400):
        world.evm.deploy("TelemetryFeed", address("admin"), max_age)


def test_max_age_needs_its_role(world: World) -> None:
    with missing_role(address("admin"), "FEED_ADMIN_ROLE"):
        world.feed.transact("setMaxAge", 300, sender=address("admin"))
    world.feed.transact("setMaxAge", 300, sender=address("feed admin"))
    assert world.feed.maxAge() == 300
