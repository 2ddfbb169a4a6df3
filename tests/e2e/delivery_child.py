"""A delivery process for the kill test: submits everything it finds, delivers, and dies at a named boundary.

usage: delivery_child.py FOLDER URL POINT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridge.delivery.clearances import GateClearances
from bridge.delivery.executor import ExecutorSettings
from bridge.delivery.layer2 import EvmLayer2
from bridge.delivery.node import DeliveryNode
from bridge.delivery.store import DeliveryStore
from bridge.delivery.wire import decode_order, decode_packet
from compliance.evidence.store import DecisionStore
from compliance.transfer.gate import TransferGate, default_rules
from compliance.transfer.model import ScreeningSettings
from compliance.transfer.sanctions import ConfiguredLists, sample_list
from compliance.transfer.signer import LocalClearanceSigner
from hk_l2 import keys, network
from hk_l2.evm import connect
from hk_l2.manifest import Deployment
from mainland_chain.light.genesis import Genesis
from tests.integration.delivery.delivery_world import RELAYER_KEY, SIGNER_KEYS, now_ms

KILLED = 9


def main(folder: Path, url: str, point: str) -> None:
    genesis = Genesis.decode((folder / "genesis.json").read_bytes())
    layer2 = EvmLayer2(
        connect(url),
        Deployment.load(folder / "manifest.json"),
        network.load("anvil"),
        keys.from_private_key(RELAYER_KEY),
        genesis.chain_id,
    )
    decisions = DecisionStore(f"sqlite:///{folder / 'decisions.db'}")
    gate = TransferGate(
        signers=[LocalClearanceSigner(key) for key in SIGNER_KEYS],
        chain_id=layer2.domain.chain_id,
        controller=bytes.fromhex(layer2.domain.controller[2:]),
        store=decisions,
        lists=ConfiguredLists((sample_list(now_ms()),)),
        screening=ScreeningSettings(36_500, allow_sample=True),
        rules=default_rules(),
    )

    def die_there(reached: str) -> None:
        if reached == point:
            os._exit(KILLED)

    node = DeliveryNode(
        store=DeliveryStore(f"sqlite:///{folder / 'delivery.db'}"),
        layer2=layer2,
        clearances=GateClearances(gate, decisions),
        genesis=genesis,
        clock=now_ms,
        settings=ExecutorSettings(watch_ms=0),
        probe=die_there,
    )
    node.start()
    for path in sorted((folder / "packets").iterdir()):
        node.submit_packet(decode_packet(path.read_bytes()))
    node.run_until_idle()
    for path in sorted((folder / "orders").iterdir()):
        node.submit_order(decode_order(path.read_bytes()), (folder / "identity.json").read_bytes())
    node.run_until_idle()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
