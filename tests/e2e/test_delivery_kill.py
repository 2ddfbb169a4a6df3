"""The delivery process is killed (`os._exit`) at every boundary in turn, on an anvil node, and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.bundle.build import build_bundle
from bridge.bundle.report import ONLINE_TITLE, verify_bytes
from bridge.delivery.executor import CRASH_POINTS
from bridge.delivery.node import SUBMIT_CRASH_POINTS
from bridge.delivery.wire import encode_order, encode_packet
from hk_l2 import keys, network
from hk_l2.evm import EvmClient, connect
from lianqiao_base import canonical
from lianqiao_base.errors import LianqiaoError
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, RECIPIENT, World

ROOT = Path(__file__).parents[2]
ANVIL = shutil.which("anvil") or shutil.which("anvil", path=str(ROOT / "node_modules/.bin"))
# The first account of anvil's well-known development mnemonic.
ANVIL_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
KILLED = 9
POINTS = (*SUBMIT_CRASH_POINTS, *CRASH_POINTS)

pytestmark = [
    pytest.mark.anvil,
    pytest.mark.slow,
    pytest.mark.skipif(ANVIL is None, reason="anvil is not installed (npm @foundry-rs/anvil)"),
]


@pytest.fixture
def anvil() -> Iterator[EvmClient]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert ANVIL is not None
    process = subprocess.Popen(
        [ANVIL, "--port", str(port), "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        client = connect(f"http://127.0.0.1:{port}")
        for _ in range(200):
            try:
                client.chain_id()
                break
            except LianqiaoError:
                time.sleep(0.05)
        yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def run_child(world: World, url: str, point: str) -> int:
    child = Path(__file__).with_name("delivery_child.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(child), str(world.folder), url, point], env=environment, timeout=120, check=False
    )
    return done.returncode


def test_killed_at_every_boundary_every_order_is_minted_once(anvil: EvmClient, tmp_path: Path) -> None:
    world = World(anvil, network.load("anvil"), keys.from_private_key(ANVIL_KEY), tmp_path)
    url = str(anvil.web3.provider.endpoint_uri)  # type: ignore[attr-defined]
    ledger = world.ledger
    (tmp_path / "genesis.json").write_bytes(ledger.genesis.canonical_bytes())
    (tmp_path / "identity.json").write_bytes(IDENTITY_BYTES)
    (tmp_path / "packets").mkdir()
    (tmp_path / "orders").mkdir()

    def put_packet(index: int) -> None:
        (tmp_path / "packets" / f"{index:03}").write_bytes(encode_packet(ledger.packet(index)))

    put_packet(ledger.asset())
    put_packet(ledger.lock(bytes.fromhex(ISSUER.address[2:])))
    put_packet(ledger.telemetry(cumulative=5000))
    assert run_child(world, url, "") == 0
    world.register_token()
    for number, point in enumerate(POINTS):
        # New work for every death, so that every boundary is reached; what died before is finished on the way.
        put_packet(ledger.telemetry(cumulative=5000 * (number + 2)))
        (tmp_path / "orders" / f"{number:03}").write_bytes(encode_order(world.order(number, units=1)))
        assert run_child(world, url, point) == KILLED, f"{point} was not reached"
    assert run_child(world, url, "") == 0

    head = anvil.block_stamp().number
    logs = anvil.logs(world.controller.address, [world.controller.abi.topic("Minted")], 0, head)
    minted = [event.order_id for event in world.controller.minted(logs)]
    assert sorted(minted) == sorted(world.order(n).order_id for n in range(len(POINTS)))
    assert world.token.balance_of(RECIPIENT) == len(POINTS)
    proven = anvil.logs(world.controller.address, [world.controller.abi.topic("TelemetryProven")], 0, head)
    assert len(proven) == len(POINTS) + 1
    # Three updates at first, one with every further interval; a proof each; a mint each: nothing was sent twice.
    assert anvil.transaction_count(world.relayer.address) == 3 + 3 + 3 * len(POINTS)


def test_a_bundle_from_a_json_rpc_node_verifies_with_that_node(anvil: EvmClient, tmp_path: Path) -> None:
    world = World(anvil, network.load("anvil"), keys.from_private_key(ANVIL_KEY), tmp_path)
    node = world.node()
    for index in (world.ledger.asset(), world.ledger.telemetry()):
        node.submit_packet(world.ledger.packet(index))
    node.submit_packet(world.ledger.packet(world.ledger.lock(bytes.fromhex(ISSUER.address[2:]))))
    node.run_until_idle()
    world.register_token()
    order = world.order(units=2)
    node.submit_order(order, IDENTITY_BYTES)
    node.run_until_idle()
    bundle = build_bundle(node, anvil, order.order_id)
    url = str(anvil.web3.provider.endpoint_uri)  # type: ignore[attr-defined]
    report = verify_bytes(bundle, genesis_hash=world.ledger.chain_id, l2_url=url)
    assert report.ok, report.lines()
    assert report.results[-1].title == ONLINE_TITLE
    assert "node's chain" in report.results[-1].detail
    document = canonical.loads_strict(bundle)
    document["l2"]["informative"]["clearance_threshold"] = 1  # type: ignore[index,call-overload]
    lied = verify_bytes(canonical.dumps(document), l2_url=url)
    assert not lied.ok
    assert "OTHER_THRESHOLD" in lied.lines()[-2]
