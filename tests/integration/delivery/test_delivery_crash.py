"""Dies at every boundary in turn and starts again: every fact is proven once, every order minted once, nothing sent twice."""

from __future__ import annotations

from bridge.delivery.executor import CRASH_POINTS
from bridge.delivery.node import SUBMIT_CRASH_POINTS, DeliveryNode
from tests.integration.delivery.conftest import revert, snapshot
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, RECIPIENT, World
from tests.unit.mainland_chain.light.simulated_ledger import ASSET_REF, LOCK_REF


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class Killer:
    """Counts the boundaries and dies at one of them."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.seen: list[str] = []

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if self.at is not None and len(self.seen) > self.at:
            raise Killed


def deliver(world: World, node: DeliveryNode) -> None:
    """What clients do, as often as they have to: submit everything."""
    certified = world.ledger.checkpoint()
    for index in range(3):
        node.submit_packet(world.ledger.packet(index, certified))
    node.run_until_idle()
    world.register_token()
    node.submit_order(world.order(units=25, deadline=4_000_000_000), IDENTITY_BYTES)
    node.run_until_idle()


def events(world: World, name: str) -> int:
    head = world.client.block_stamp().number
    return len(world.client.logs(world.controller.address, [world.controller.abi.topic(name)], 0, head))


def assert_done_once(world: World, node: DeliveryNode) -> None:
    assert world.token.balance_of(RECIPIENT) == 25
    assert [events(world, name) for name in ("AssetProven", "TelemetryProven", "LockProven", "Minted")] == [1] * 4
    # One update, three proofs, one mint: no transaction was made twice, not even one that reverted.
    assert world.client.transaction_count(world.relayer.address) == 5
    assert node.counts() == {("order", "final"): 1, ("packet", "final"): 3}
    lock = world.controller.lock_info(LOCK_REF)
    assert lock is not None
    assert (lock.minted, lock.mintable) == (25, 475)
    assert world.controller.asset_info(ASSET_REF) is not None


def test_killed_at_every_boundary(world: World) -> None:
    world.ledger.asset()
    world.ledger.telemetry()
    world.ledger.lock(bytes.fromhex(ISSUER.address[2:]))
    start = snapshot(world.client)
    folder = world.folder
    rehearsal = Killer(None)
    world.folder = folder / "rehearsal"
    world.folder.mkdir()
    deliver(world, world.node(rehearsal))
    assert set(rehearsal.seen) == {*CRASH_POINTS, *SUBMIT_CRASH_POINTS}
    for at, point in enumerate(rehearsal.seen):
        revert(world.client, start)
        start = snapshot(world.client)
        world.sender.restore([])
        world.folder = folder / f"{at}"
        world.folder.mkdir()
        killer = Killer(at)
        try:
            deliver(world, world.node(killer))
            raise AssertionError(f"did not die at {at} ({point})")
        except Killed:
            pass
        node = world.node()
        deliver(world, node)
        assert_done_once(world, node)
