"""The mainland quorum contradicts itself: the L2 is told exactly once, and nothing else is sent any more."""

from __future__ import annotations

import pytest

from bridge.delivery.executor import CRASH_POINTS
from bridge.delivery.node import FREEZE_CRASH_POINTS, DeliveryNode
from bridge.delivery.trace import TraceReport
from compliance.transfer.clearance import SignedClearance
from hk_l2.bindings import MainlandLightClient
from hk_l2.errors import RevertError
from hk_l2.typed_data import ClearanceData
from mainland_chain.light.errors import Equivocation
from mainland_chain.light.packet import Packet
from tests.integration.delivery.conftest import revert, snapshot
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, RECIPIENT, World
from tests.integration.delivery.test_delivery_crash import Killed


def frozen(world: World) -> bool:
    return MainlandLightClient(world.client, world.deployment.light_client).frozen()


def sent(world: World) -> int:
    return world.client.transaction_count(world.relayer.address)


def walk(world: World, node: DeliveryNode) -> None:
    """Asset, telemetry and lock, proven under one checkpoint."""
    ledger = world.ledger
    indices = [ledger.asset(), ledger.telemetry(), ledger.lock(bytes.fromhex(ISSUER.address[2:]))]
    certified = ledger.checkpoint()
    for index in indices:
        node.submit_packet(ledger.packet(index, certified))
    node.run_until_idle()
    world.register_token()


def twin(world: World) -> Packet:
    """The first claim under another block of the last height."""
    return world.ledger.packet(0, world.ledger.checkpoint(header_hash=b"\x07" * 32))


def contradict(world: World, node: DeliveryNode) -> None:
    with pytest.raises(Equivocation):
        node.submit_packet(twin(world))


def report_of(node: DeliveryNode, caller: bytes = b"") -> TraceReport:
    contradiction = node._trust.contradiction()
    assert contradiction is not None
    return node.trace(contradiction.item_id, caller)


def intents(report: TraceReport) -> list[str]:
    return [s.detail.split(",")[0] for s in report.steps if s.state == "intended"]


def test_the_light_client_is_told_once_and_cleared_orders_stay(world: World) -> None:
    node = world.node()
    walk(world, node)
    order = world.order()
    assert node.submit_order(order, IDENTITY_BYTES).state == "cleared"
    before = sent(world)
    contradict(world, node)
    assert not frozen(world)
    node.run_until_idle()
    assert frozen(world)
    for again in (node, world.node()):
        again.run_until_idle()
        report = report_of(again, b"anybody who may trace")
        assert (report.kind, report.state, report.done) == ("equivocation", "final", True)
        assert intents(report) == ["MainlandLightClient.reportEquivocation"]
        assert "members" in report.next_action
        waiting = again.trace(order.order_id)
        assert (waiting.state, waiting.reason_code) == ("cleared", "CLIENT_FROZEN")
        assert "members of the mainland ledger" in waiting.next_action
    assert sent(world) == before + 1
    assert world.token.balance_of(RECIPIENT) == 0


def test_no_mint_after_the_report(world: World) -> None:
    node = world.node()
    walk(world, node)
    order = world.order()
    node.submit_order(order, IDENTITY_BYTES)
    outcome = world.clearances().recall(order.order_id)
    assert outcome is not None
    signed = outcome.clearance
    assert isinstance(signed, SignedClearance)
    data = ClearanceData(signed.clearance.decision_hash, signed.clearance.expiry)
    call = world.layer2().mint(order.terms(), order.issuer_signature, data, signed.signatures)
    world.layer2().prepare(call)
    contradict(world, node)
    node.run_until_idle()
    with pytest.raises(RevertError) as caught:
        world.layer2().prepare(call)
    assert caught.value.error_name == "LightClientFrozen"


def test_frozen_by_another_relayer_is_done(world: World) -> None:
    node = world.node()
    walk(world, node)
    home = world.folder
    world.folder = home / "other"
    world.folder.mkdir()
    other = world.node()
    other.submit_packet(world.ledger.packet(0))
    contradict(world, other)
    other.run_until_idle()
    before = sent(world)
    contradict(world, node)
    node.run_until_idle()
    report = report_of(node)
    assert (report.state, intents(report), sent(world)) == ("final", [], before)


def test_a_light_client_that_is_behind_is_brought_to_the_epoch_first(world: World) -> None:
    node = world.node()
    first = world.ledger.asset()
    world.ledger.rotate()
    world.ledger.telemetry()
    packet = node.submit_packet(world.ledger.packet(first))
    contradict(world, node)
    node.run_until_idle()
    assert frozen(world)
    assert intents(report_of(node)) == [
        *["SM2KeyRegistry.register"] * 5, "MainlandLightClient.updateAndRotate",
        "MainlandLightClient.reportEquivocation",
    ]  # fmt: skip
    assert node.trace(packet.item_id).state == "verified"


def killed_with_an_order(world: World, point: str) -> DeliveryNode:
    """A node that died at `point` of a mint and was started again."""
    walk(world, world.node())

    def probe(reached: str) -> None:
        if reached == point:
            raise Killed

    node = world.node(probe)
    node.submit_order(world.order(), IDENTITY_BYTES)
    with pytest.raises(Killed):
        node.run_until_idle()
    return world.node()


def test_an_order_signed_but_unsent_at_the_freeze_is_never_sent(world: World) -> None:
    node = killed_with_an_order(world, "send:before-broadcast")
    before = sent(world)
    contradict(world, node)
    node.run_until_idle()
    waiting = node.trace(world.order().order_id)
    assert (waiting.state, waiting.reason_code) == ("cleared", "CLIENT_FROZEN")
    assert (frozen(world), world.token.balance_of(RECIPIENT)) == (True, 0)
    # The report took the nonce that became free.
    assert sent(world) == before + 1


def test_an_order_that_a_node_has_is_followed(world: World) -> None:
    node = killed_with_an_order(world, "send:after-broadcast")
    contradict(world, node)
    node.run_until_idle()
    assert node.trace(world.order().order_id).state == "final"
    assert (frozen(world), world.token.balance_of(RECIPIENT)) == (True, 10)


def test_killed_at_every_boundary_the_report_is_made_once(world: World) -> None:
    walk(world, world.node())
    before = sent(world)
    start, home = snapshot(world.client), world.folder
    for point in (*FREEZE_CRASH_POINTS, *CRASH_POINTS):
        revert(world.client, start)
        start = snapshot(world.client)
        world.folder = home / point.replace(":", "-")
        world.folder.mkdir()
        world.node().submit_packet(world.ledger.packet(0))

        def probe(reached: str, last: str = point) -> None:
            if reached == last:
                raise Killed

        node = world.node(probe)
        with pytest.raises((Killed, Equivocation)):
            node.submit_packet(twin(world))
        if point in CRASH_POINTS:
            with pytest.raises(Killed):
                node.run_until_idle()
        node = world.node()
        node.run_until_idle()
        assert frozen(world), point
        assert sent(world) == before + 1, point
        assert node.counts()["equivocation", "final"] == 1, point
