"""One lie per check that only this check can see: everything else in the bundle is certified, signed and consistent."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from bridge.bundle import model
from bridge.bundle.verify import CHECKS, verify
from lianqiao_base import canonical
from mainland_chain.light.claims import UnitLockClaim, decode_claim
from tests.integration.delivery.delivery_world import ISSUER, World
from tests.integration.delivery.test_bundle import mint, with_packet
from tests.unit.bridge.test_bundle_trie import nested

Minted = tuple[model.Bundle, World]


@pytest.fixture(scope="module")
def minted(module_world: World) -> Minted:
    return model.from_json(model.parse(mint(module_world)[0])), module_world


def failure(lie: model.Bundle) -> str:
    results = verify(lie.to_bytes())
    assert results[-1].ok is False, "accepted"
    return results[-1].title


def with_l2(good: model.Bundle, **changes: Any) -> model.Bundle:
    return dataclasses.replace(good, l2=dataclasses.replace(good.l2, **changes))


def test_a_claim_of_another_kind_in_each_place(minted: Minted) -> None:
    good, world = minted
    asset, lock = world.ledger.asset(), world.ledger.lock(bytes.fromhex(ISSUER.address[2:]))
    telemetry = world.ledger.telemetry()
    for position, others in ((0, (lock, telemetry)), (1, (asset, telemetry)), (2, (asset, lock))):
        for index in others:
            assert failure(with_packet(good, world, position, index)) == CHECKS[2][0]


def test_a_lock_without_filing(minted: Minted) -> None:
    good, world = minted
    index = world.ledger.lock(bytes.fromhex(ISSUER.address[2:]))
    claim, openings = decode_claim(world.ledger.claims[index]), world.ledger.openings[index]
    assert isinstance(claim, UnitLockClaim)
    assert verify(with_packet(good, world, 1, index).to_bytes())[-1].ok is None
    unfiled = world.ledger.append(dataclasses.replace(claim, filing_reference=""), openings)
    assert failure(with_packet(good, world, 1, unfiled)) == CHECKS[3][0]


@pytest.mark.parametrize(("past_asset", "past_lock"), [(False, True), (True, False)])
def test_units_beyond_the_lock_or_the_asset(minted: Minted, past_asset: bool, past_lock: bool) -> None:
    good, world = minted
    lie = good
    if past_lock:
        lie = with_packet(lie, world, 1, world.ledger.lock(bytes.fromhex(ISSUER.address[2:]), units=24))
    if past_asset:
        lie = with_packet(lie, world, 0, world.ledger.asset(unit_count=499))
    assert failure(lie) == CHECKS[3][0]


def test_an_order_of_nothing(minted: Minted) -> None:
    good, _ = minted
    lie = dataclasses.replace(good, order=dataclasses.replace(good.order, units=0))
    assert failure(lie).startswith("the document is a bundle")


def test_more_signers_were_needed(minted: Minted) -> None:
    good, _ = minted
    assert failure(with_l2(good, clearance_threshold=len(good.signers) + 1)) == CHECKS[5][0]


@pytest.mark.parametrize(("name", "value"), [("zone", "mainland"), ("decision", "DENY"), ("decision", "HOLD")])
def test_a_decision_that_is_no_allow_of_hong_kong(minted: Minted, name: str, value: str) -> None:
    document: Any = canonical.loads_strict(minted[0].to_bytes())
    document["hong_kong"]["decision"][name] = value
    results = verify(canonical.dumps(document))
    assert (len(results), results[-1].ok) == (1, False)
    assert f"$.hong_kong.decision.{name}" in results[-1].detail


def test_a_transaction_of_another_type_with_the_same_call(minted: Minted) -> None:
    good, _ = minted
    chain, nonce, _priority, fee, gas, to, value, data, access, *signature = rlp.decode(good.l2.transaction[1:])
    other = b"\x01" + rlp.encode([chain, nonce, fee, gas, to, value, data, access, *signature])
    assert failure(with_l2(good, transaction=other)) == CHECKS[7][0]


def test_an_event_of_other_words_or_of_another_contract(minted: Minted) -> None:
    good, _ = minted
    status, gas, bloom, logs = rlp.decode(good.l2.receipt[1:])
    controller = bytes.fromhex(good.l2.controller[2:])

    def changed(address: bytes, topics: list[bytes], data: bytes) -> model.Bundle:
        entries = [[address, topics, data] if a == controller else [a, t, d] for a, t, d in logs]
        return with_l2(good, receipt=b"\x02" + rlp.encode([status, gas, bloom, entries]))

    (topics, data) = next((t, d) for a, t, d in logs if a == controller)
    assert changed(controller, topics, data) == good
    for word in range(3):
        other = bytearray(data)
        other[32 * word + 31] ^= 1
        assert failure(changed(controller, topics, bytes(other))) == CHECKS[8][0]
    assert failure(changed(b"\x11" * 20, topics, data)) == CHECKS[8][0]
    for place in range(4):
        others = [*topics[:place], b"\x11" * 32, *topics[place + 1 :]]
        assert failure(changed(controller, others, data)) == CHECKS[8][0]


def test_depth_is_a_failure_not_a_crash(minted: Minted) -> None:
    good, _ = minted
    deep = nested(3000)
    assert failure(with_l2(good, header=nested(300))) == CHECKS[2][0]
    assert failure(with_l2(good, transaction=b"\x02" + deep)) == CHECKS[7][0]
    assert failure(with_l2(good, receipt=b"\x02" + deep)) == CHECKS[8][0]
    assert failure(with_l2(good, header=rlp.encode(bytes(20)))) == CHECKS[2][0]
