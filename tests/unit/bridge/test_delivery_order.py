"""What is no order, and what is planned for one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from bridge.delivery import machine as m
from bridge.delivery.order import Order
from bridge.delivery.plan import CLEARANCE_MARGIN_S, NextCall, plan_order, plan_packet
from compliance.transfer.clearance import Clearance, SignedClearance
from hk_l2.bindings import LightClientHead, OrderState
from hk_l2.chain import BlockStamp, Call
from hk_l2.typed_data import ClearanceData, MintOrder
from lianqiao_base.errors import Rejected
from mainland_chain.light.packet import Packet
from mainland_chain.light.types import CertifiedCheckpoint
from tests.unit.bridge.simulated_l2 import SENDER, SimulatedL2
from tests.unit.mainland_chain.light.simulated_ledger import SimulatedLedger

NOW_S = 1_800_000_000
RECIPIENT = b"\x05" * 20
GOOD: dict[str, Any] = {
    "order_id": b"\x01" * 32,
    "lock_ref": b"\x02" * 32,
    "recipient": RECIPIENT,
    "units": 10,
    "deadline": NOW_S + 600,
    "issuer_signature": bytes(65),
    "unit_price_hkd_cents": 0,
}
ORDER = Order(**GOOD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_id", b"\x01" * 31),
        ("order_id", b"\x01" * 33),
        ("order_id", bytes(32)),
        ("lock_ref", b"\x02" * 31),
        ("lock_ref", b"\x02" * 33),
        ("recipient", b"\x05" * 19),
        ("recipient", b"\x05" * 21),
        ("recipient", bytes(20)),
        ("units", 0),
        ("units", 2**64),
        ("deadline", 0),
        ("deadline", 2**53),
        ("issuer_signature", bytes(64)),
        ("issuer_signature", bytes(66)),
        ("unit_price_hkd_cents", -1),
        ("unit_price_hkd_cents", 2**53),
    ],
)
def test_what_is_no_order(field: str, value: object) -> None:
    with pytest.raises(Rejected) as caught:
        Order(**{**GOOD, field: value})
    assert caught.value.code == "ORDER_INVALID"


def test_a_signature_that_is_none_has_a_name() -> None:
    with pytest.raises(Rejected) as caught:
        ORDER.issuer(SimulatedL2().domain)
    assert caught.value.code == "ORDER_SIGNATURE"


@pytest.mark.parametrize(
    ("field", "value"),
    [("units", 1), ("units", 2**64 - 1), ("deadline", 1), ("deadline", 2**53 - 1), ("unit_price_hkd_cents", 2**53 - 1)],
)
def test_the_limits_are_orders(field: str, value: object) -> None:
    assert getattr(Order(**{**GOOD, field: value}), field) == value


@dataclass
class Chain(SimulatedL2):
    """An L2 where an order may be carried out already, and the light client may be anywhere."""

    used: OrderState = field(default_factory=lambda: OrderState(used=False, recipient="", units=0))
    at: LightClientHead = field(default_factory=lambda: LightClientHead(0, 0, 0, 0))

    def order_state(self, order_id: bytes, at: BlockStamp) -> OrderState:
        return self.used

    def head(self) -> LightClientHead:
        return self.at

    def update(self, certified: CertifiedCheckpoint) -> Call:
        return Call(SENDER, b"update", "update")

    def mint(
        self, order: MintOrder, issuer_signature: bytes, clearance: ClearanceData, signatures: tuple[bytes, ...]
    ) -> Call:
        return Call(SENDER, b"mint", "mint")


def planned(chain: Chain, *, expiry: int = NOW_S + 300, order: Order = ORDER, block_s: int = 0) -> NextCall | m.Event:
    clearance = Clearance(order.order_id, order.lock_ref, order.recipient, order.units, bytes(32), expiry)
    return plan_order(order, SignedClearance(clearance, ()), chain, BlockStamp(1, bytes(32), block_s), NOW_S * 1000)


def test_a_cleared_order_is_minted() -> None:
    plan = planned(Chain())
    assert isinstance(plan, NextCall)
    assert (plan.call.label, plan.last) == ("mint", True)


@pytest.mark.parametrize(
    ("recipient", "units", "done"),
    [(RECIPIENT, 10, True), (RECIPIENT, 11, False), (b"\x06" * 20, 10, False)],
)
def test_an_id_that_was_used_is_done_only_for_the_same_order(recipient: bytes, units: int, done: bool) -> None:
    plan = planned(Chain(used=OrderState(used=True, recipient=to_checksum_address(recipient), units=units)))
    assert isinstance(plan, m.AlreadyDone if done else m.Refused)


@pytest.mark.parametrize(("block_s", "late"), [(0, False), (NOW_S + 600, False), (NOW_S + 601, True)])
def test_a_deadline_counts_by_the_later_of_both_clocks(block_s: int, late: bool) -> None:
    plan = planned(Chain(), expiry=NOW_S + 3600, block_s=block_s)
    assert isinstance(plan, m.Refused) is late


@pytest.mark.parametrize(("left", "held"), [(CLEARANCE_MARGIN_S, False), (CLEARANCE_MARGIN_S - 1, True)])
def test_a_clearance_about_to_end_is_renewed(left: int, held: bool) -> None:
    assert isinstance(planned(Chain(), expiry=NOW_S + left), m.Held) is held


def test_a_clearance_that_lasts_as_long_as_the_order_cannot_be_renewed() -> None:
    last_moment = replace(ORDER, deadline=NOW_S + 5)
    assert isinstance(planned(Chain(), expiry=NOW_S + 5, order=last_moment), NextCall)


def asset_packet() -> Packet:
    ledger = SimulatedLedger()
    ledger.asset()
    return ledger.packet(0)


@pytest.mark.parametrize(
    ("epoch", "higher", "longer", "held"),
    [(0, -1, -1, False), (1, -1, -1, True), (0, 0, -1, True), (0, 1, -1, True), (0, -1, 0, True), (0, -1, 1, True)],
)
def test_a_checkpoint_behind_the_light_client_is_superseded(epoch: int, higher: int, longer: int, held: bool) -> None:
    packet = asset_packet()
    c = packet.checkpoint.checkpoint
    chain = Chain(at=LightClientHead(epoch, c.height + higher, 0, c.log_size + longer))
    plan = plan_packet(packet, chain, chain.latest(), 0, 0)
    if held:
        assert isinstance(plan, m.Held)
        assert plan.code == "CHECKPOINT_SUPERSEDED"
    else:
        assert isinstance(plan, NextCall)
        assert (plan.call.label, plan.last) == ("update", False)


def test_another_root_for_the_same_size_is_a_fork() -> None:
    packet = asset_packet()
    chain = Chain(roots={1: b"\x09" * 32})
    plan = plan_packet(packet, chain, chain.latest(), 0, 0)
    assert isinstance(plan, m.Held)
    assert plan.code == "ROOT_CONFLICT"


def test_a_frozen_light_client_is_waited_for() -> None:
    packet = asset_packet()
    chain = Chain()
    chain.blocks[0].effects.append(b"report")
    plan = plan_packet(packet, chain, chain.latest(), 0, 0)
    assert isinstance(plan, m.Deferred)
    assert plan.code == "ClientFrozen"
