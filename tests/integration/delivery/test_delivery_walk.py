"""Packets and orders through a real EVM: the whole walk, and every way to be stopped on it."""

from __future__ import annotations

import dataclasses

import pytest

from bridge.delivery.node import DeliveryNode
from lianqiao_base.errors import AlreadyExists, Fatal, NotFound, PreconditionFailed, Rejected
from mainland_chain.light.errors import Equivocation, VerificationError
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, RECIPIENT, World
from tests.unit.mainland_chain.light.simulated_ledger import ASSET_REF

ISSUER_BYTES = bytes.fromhex(ISSUER.address[2:])


def walk(world: World, node: DeliveryNode) -> list[bytes]:
    """Asset, telemetry and lock, proven under one checkpoint."""
    indices = [world.ledger.asset(), world.ledger.telemetry(), world.ledger.lock(ISSUER_BYTES)]
    certified = world.ledger.checkpoint()
    ids = [node.submit_packet(world.ledger.packet(i, certified)).item_id for i in indices]
    node.run_until_idle()
    world.register_token()
    return ids


def states(node: DeliveryNode, ids: list[bytes]) -> list[str]:
    return [node.trace(i).state for i in ids]


def balance(world: World) -> int:
    return world.token.balance_of(RECIPIENT)


def test_the_walk(world: World) -> None:
    node = world.node()
    assert states(node, walk(world, node)) == ["final"] * 3
    order = world.order(units=25)
    submitted = node.submit_order(order, IDENTITY_BYTES)
    assert submitted.state == "cleared"
    node.run_until_idle()
    report = node.trace(order.order_id[:6])
    assert [s.state for s in report.steps] == [
        "received", "verified", "cleared", "intended", "sent", "mined", "final",
    ]  # fmt: skip
    assert (report.done, report.next_action) == (True, "nothing: it is done")
    assert report.l2_transaction_hash is not None
    assert balance(world) == 25
    again = node.submit_order(order, IDENTITY_BYTES)
    assert again.state == "final"
    node.run_until_idle()
    assert balance(world) == 25


def test_packets_of_one_checkpoint_update_the_client_once(world: World) -> None:
    node = world.node()
    ids = walk(world, node)
    labels = [s.detail.split(",")[0] for i in ids for s in node.trace(i).steps if s.state == "intended"]
    assert labels == [
        "MainlandLightClient.update", "MintController.proveAsset",
        "MintController.proveTelemetry", "MintController.proveLock",
    ]  # fmt: skip


def test_already_proven_is_final_without_sending(world: World) -> None:
    node = world.node()
    ids = walk(world, node)
    world.folder = world.folder / "other"
    world.folder.mkdir()
    other = world.node()
    nonce = world.client.transaction_count(world.relayer.address)
    for index, item_id in enumerate(ids):
        assert other.submit_packet(world.ledger.packet(index)).item_id == item_id
    other.run_until_idle()
    assert states(other, ids) == ["final"] * 3
    assert world.client.transaction_count(world.relayer.address) == nonce


def test_a_lock_that_comes_before_its_asset_waits(world: World) -> None:
    node = world.node()
    asset, lock = world.ledger.asset(), world.ledger.lock(ISSUER_BYTES)
    certified = world.ledger.checkpoint()
    lock_id = node.submit_packet(world.ledger.packet(lock, certified)).item_id
    node.run_until_idle()
    report = node.trace(lock_id)
    assert (report.state, report.reason_code) == ("mined", "AssetUnknown")
    assert "mainland side" in report.next_action
    asset_id = node.submit_packet(world.ledger.packet(asset, certified)).item_id
    node.run_until_idle()
    assert states(node, [asset_id, lock_id]) == ["final", "final"]


def test_superseded_is_held_and_revived_by_a_newer_proof(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    old = world.ledger.packet(0)
    world.ledger.telemetry()
    newer = node.submit_packet(world.ledger.packet(1)).item_id
    node.run_until_idle()
    held = node.submit_packet(old).item_id
    node.run_until_idle()
    report = node.trace(held)
    assert (report.state, report.reason_code) == ("held", "CHECKPOINT_SUPERSEDED")
    assert "resubmit with a proof under a newer checkpoint" in report.reason
    assert node.submit_packet(old).state == "held"
    revived = node.submit_packet(world.ledger.packet(0))
    assert (revived.item_id, revived.state) == (held, "verified")
    node.run_until_idle()
    assert states(node, [held, newer]) == ["final", "final"]


def test_a_newer_proof_of_what_is_done_changes_nothing(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    item = node.submit_packet(world.ledger.packet(0)).item_id
    node.run_until_idle()
    world.ledger.telemetry()
    again = node.submit_packet(world.ledger.packet(0))
    assert (again.item_id, again.state) == (item, "final")


def test_rotation_registers_keys_and_hands_over(world: World) -> None:
    node = world.node()
    first = world.ledger.asset()
    world.ledger.rotate()
    world.ledger.telemetry()
    item = node.submit_packet(world.ledger.packet(first)).item_id
    node.run_until_idle()
    labels = [s.detail.split(",")[0] for s in node.trace(item).steps if s.state == "intended"]
    assert labels == [
        *["SM2KeyRegistry.register"] * 5, "MainlandLightClient.updateAndRotate",
        "MainlandLightClient.update", "MintController.proveAsset",
    ]  # fmt: skip
    assert states(node, [item]) == ["final"]


def test_a_forgery_leaves_no_trace_and_does_not_block_the_real_one(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    packet = world.ledger.packet(0)
    forged = dataclasses.replace(packet, checkpoint=world.ledger.checkpoint(signers=2))
    with pytest.raises(VerificationError):
        node.submit_packet(forged)
    with pytest.raises(NotFound):
        node.trace(packet.packet_id())
    assert node.submit_packet(packet).state == "verified"


def test_equivocation_freezes_the_node_for_good(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    packet = world.ledger.packet(0)
    node.submit_packet(packet)
    twin = world.ledger.packet(0, world.ledger.checkpoint(header_hash=b"\x07" * 32))
    with pytest.raises(Equivocation):
        node.submit_packet(twin)
    for again in (node, world.node()):
        with pytest.raises(Fatal) as caught:
            again.submit_packet(packet)
        assert caught.value.code == "CLIENT_FROZEN"
        with pytest.raises(Fatal):
            again.submit_order(world.order(), IDENTITY_BYTES)


def test_equivocation_below_the_head_is_seen_too(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    low = world.ledger.checkpoint()
    node.submit_packet(world.ledger.packet(0, low))
    twin = world.ledger.packet(0, world.ledger.checkpoint(header_hash=b"\x07" * 32))
    world.ledger.telemetry()
    node.submit_packet(world.ledger.packet(1))
    with pytest.raises(Equivocation):
        node.submit_packet(twin)


def test_orders_that_cannot_be(world: World) -> None:
    node = world.node()
    with pytest.raises(PreconditionFailed) as unknown:
        node.submit_order(world.order(), IDENTITY_BYTES)
    assert unknown.value.code == "LOCK_UNKNOWN"
    walk(world, node)
    with pytest.raises(Rejected) as unsigned:
        node.submit_order(world.order(key=bytes([8]) * 32), IDENTITY_BYTES)
    assert unsigned.value.code == "ORDER_SIGNATURE"
    with pytest.raises(NotFound):
        node.trace(world.order().order_id)
    too_much = node.submit_order(world.order(2, units=501), IDENTITY_BYTES)
    assert (too_much.state, too_much.reason[:16]) == ("refused", "CapacityExceeded")
    late = node.submit_order(world.order(3, deadline=1_700_000_000), IDENTITY_BYTES)
    assert late.state == "refused"
    good = world.order(4)
    node.submit_order(good, IDENTITY_BYTES)
    with pytest.raises(AlreadyExists):
        node.submit_order(world.order(4, units=11), IDENTITY_BYTES)


def test_an_order_without_identity_is_held_and_then_cleared(world: World) -> None:
    node = world.node()
    walk(world, node)
    order = world.order(units=100)
    held = node.submit_order(order)
    assert held.state == "held"
    assert "HK-TR" in held.reason
    assert "Chan" not in held.reason
    assert node.submit_order(order, IDENTITY_BYTES).state == "cleared"
    node.run_until_idle()
    assert balance(world) == 100


def test_no_identity_in_the_delivery_store(world: World) -> None:
    node = world.node()
    walk(world, node)
    node.submit_order(world.order(), IDENTITY_BYTES)
    node.run_until_idle()
    stored = b"".join(p.read_bytes() for p in world.folder.glob("delivery.db*"))
    for word in (b"Chan", b"Tai Man", b"1980-02-29", b"213800WSGIIZCXF1P572"):
        assert word not in stored


def test_waiting_orders_are_minted_when_the_token_is_there(world: World) -> None:
    node = world.node()
    for index in (world.ledger.asset(), world.ledger.lock(ISSUER_BYTES)):
        node.submit_packet(world.ledger.packet(index))
    node.run_until_idle()
    order = world.order()
    node.submit_order(order, IDENTITY_BYTES)
    node.run_until_idle()
    assert node.trace(order.order_id).reason_code == "TelemetryStale"
    node.submit_packet(world.ledger.packet(world.ledger.telemetry()))
    world.register_token()
    node.run_until_idle()
    assert node.trace(order.order_id).state == "final"


def test_a_poison_item_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.node()
    world.ledger.asset()
    world.ledger.asset(asset_ref=b"\x55" * 32)
    certified = world.ledger.checkpoint()
    poison = node.submit_packet(world.ledger.packet(0, certified)).item_id
    fine = node.submit_packet(world.ledger.packet(1, certified)).item_id
    real = node._executor._next_call

    def broken(stored: object) -> object:
        if stored.item.item_id == poison:  # type: ignore[attr-defined]
            raise RuntimeError("boom")
        return real(stored)  # type: ignore[arg-type]

    monkeypatch.setattr(node._executor, "_next_call", broken)
    node.run_until_idle()
    assert states(node, [poison, fine]) == ["verified", "final"]
    assert node.trace(poison).reason_code == "INTERNAL"


def test_submitters_see_only_their_own(world: World) -> None:
    node = world.node()
    world.ledger.asset()
    item = node.submit_packet(world.ledger.packet(0), b"bridge").item_id
    assert node.trace(item, b"bridge").kind == "packet"
    assert node.trace(item).kind == "packet"
    with pytest.raises(NotFound):
        node.trace(item, b"issuer")
    with pytest.raises(Rejected):
        node.trace(item[:3])
    assert world.controller.asset_info(ASSET_REF) is None
