"""Gas of whole transactions on anvil: the light client's price list, and its two goals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from evm_harness import load_artifact
from mainland import Ledger, Member, members, set_hash
from web3 import Web3

GOALS = {(3, 4): 190_000, (7, 10): 360_000}
TRANSACTION_GAS_CAP = 16_777_216
"""EIP-7825."""


class Chain:
    """Sends transactions, and notes what they cost."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.costs: dict[str, int] = {}

    def _mine(self, transaction: Any, label: str) -> Any:
        receipt = self.web3.eth.wait_for_transaction_receipt(self.web3.eth.send_transaction(transaction))
        assert receipt["status"] == 1, label
        assert receipt["gasUsed"] < TRANSACTION_GAS_CAP, label
        self.costs[label] = receipt["gasUsed"]
        return receipt

    def deploy(self, name: str, *arguments: Any) -> Any:
        artifact = load_artifact(name)
        factory = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        data = factory.constructor(*arguments).data_in_transaction
        receipt = self._mine({"data": data, "gas": TRANSACTION_GAS_CAP}, f"deploy {name}")
        return self.web3.eth.contract(address=receipt["contractAddress"], abi=artifact.abi)

    def send(self, call: Any, label: str) -> Any:
        return self._mine(call.build_transaction({"gas": TRANSACTION_GAS_CAP}), label)


@pytest.mark.anvil
def test_gas(anvil: Web3, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]) -> None:
    chain = Chain(anvil)
    registry = chain.deploy("SM2KeyRegistry")
    verifier = chain.deploy("SM2QuorumVerifier")

    def tables(validators: list[Member]) -> list[str]:
        found = []
        for member in validators:
            if int(registry.functions.tableOf(*member.key.public).call(), 16) == 0:
                chain.send(registry.functions.register(*member.key.public), "register a key")
            found.append(registry.functions.tableOf(*member.key.public).call())
        return found

    for quorum, size in ((1, 1), (3, 4), (5, 7), (7, 10)):
        ledger = Ledger(members(size))
        orgs = [member.org_id for member in ledger.validators]
        client = chain.deploy(
            "MainlandLightClient",
            registry.address,
            verifier.address,
            ledger.chain_id,
            0,
            orgs,
            tables(ledger.validators),
        )
        for _ in range(3):
            arguments = ledger.certified()
            chain.send(client.functions.update(*arguments), f"update, {quorum} of {size}")
            ledger.advance(arguments)
        if (quorum, size) in GOALS:
            following = set_hash(ledger.chain_id, 1, ledger.validators)
            rotate = ledger.certified(next_validators_hash=following)
            call = client.functions.updateAndRotate(*rotate, orgs, tables(ledger.validators))
            chain.send(call, f"updateAndRotate, {quorum} of {size}")
            evidence = (*ledger.certified(), *ledger.certified(log_size=1))
            chain.send(client.functions.reportEquivocation(*evidence), f"reportEquivocation, {quorum} of {size}")
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"{label:32} {gas:>10,}\n" for label, gas in chain.costs.items()))
    for label, gas in chain.costs.items():
        record_property(label, gas)
    for (quorum, size), goal in GOALS.items():
        assert chain.costs[f"update, {quorum} of {size}"] <= goal
