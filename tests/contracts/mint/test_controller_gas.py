"""Gas of whole transactions on anvil's default hardfork: a mint to a fresh holder with two compliance signatures, and its surroundings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from eth_hash.auto import keccak
from evm_harness import Evm
from mint_world import ASSET, DAY_MS, LOCK, World, address
from web3 import Web3

from hk_l2.typed_data import Domain

MINT_LIMIT = 200_000
SENDER = "0x" + "51" * 20


class AnvilEvm(Evm):
    """The harness's interface over anvil: every call with effects is a transaction, from any account."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.timestamp = int(web3.eth.get_block("latest")["timestamp"])
        self.gas_used = 0

    def _sent(self, fields: dict[str, Any]) -> Any:
        sender = Web3.to_checksum_address(fields["from"])
        self.web3.provider.make_request("anvil_impersonateAccount", [sender])  # type: ignore[arg-type]
        self.web3.provider.make_request("anvil_setBalance", [sender, hex(10**20)])  # type: ignore[arg-type]
        sent = self.web3.eth.send_transaction({**fields, "from": sender, "gas": 15_000_000})
        receipt = self.web3.eth.wait_for_transaction_receipt(sent, timeout=60, poll_latency=0.01)
        assert receipt["status"] == 1, fields
        self.gas_used = receipt["gasUsed"]
        return receipt

    def deploy_code(self, creation_code: bytes) -> str:
        return str(self._sent({"from": SENDER, "data": creation_code})["contractAddress"]).lower()

    def send(self, to: str, data: bytes, *, sender: str = SENDER, gas: int = 0, value: int = 0) -> bytes:
        fields = {"from": Web3.to_checksum_address(sender), "to": Web3.to_checksum_address(to), "data": data}
        output = bytes(self.web3.eth.call(fields))  # type: ignore[arg-type]
        self._sent(fields)
        return output


@pytest.mark.anvil
def test_mint_within_its_gas_goal(
    anvil: Web3, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    evm = AnvilEvm(anvil)
    now_ms = evm.timestamp * 1000
    world = World(evm=evm)
    world.domain = Domain(anvil.eth.chain_id, world.controller.address)
    table: dict[str, int] = {}

    def measured(name: str, action: Any) -> None:
        action()
        table[name] = evm.gas_used

    def admit(name: str) -> str:
        holder = address(name)
        arguments = (holder, 344, evm.timestamp + 10**7, 3, keccak(name.encode()))
        world.credentials.transact("issue", *arguments, sender=address("issuer of credentials"))
        return holder

    lock = world.lock_claim().but(expiryMs=now_ms + 30 * DAY_MS, approvalExpiryMs=now_ms + 60 * DAY_MS)
    measured("proveAsset", lambda: world.prove(world.asset_claim()))
    measured("proveTelemetry, first", lambda: world.prove(world.telemetry_claim()))
    later = world.telemetry_claim().but(
        intervalStartMs=now_ms - 2000, intervalEndMs=now_ms - 1000, cumulativeEnergyWh=91_000
    )
    measured("proveTelemetry, next", lambda: world.prove(later))
    measured("proveLock", lambda: world.prove(lock))
    register = ("registerToken", ASSET, world.token.address)
    measured("registerToken", lambda: world.controller.transact(*register, sender=address("asset admin")))
    measured("issue credential", lambda: admit("alice"))
    admit("bob")

    def order(name: str, number: int) -> Any:
        return world.order(order_id=keccak(b"gas %d" % number), recipient=address(name), deadline=evm.timestamp + 10**6)

    clearance = world.clearance(expiry=evm.timestamp + 10**6)
    measured("mint, first of the token", lambda: world.mint(order("alice", 1), clearance))
    measured("mint, fresh holder", lambda: world.mint(order("bob", 2), clearance))
    measured("mint, again", lambda: world.mint(order("bob", 3), clearance))
    transfer = ("transfer", address("bob"), 1)
    measured("transfer", lambda: world.token.transact(*transfer, sender=address("alice")))
    measured("redeem", lambda: world.controller.transact("redeem", LOCK, 10, sender=address("alice")))

    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(f"  {name:28s}{gas:>9,d} gas" for name, gas in table.items()))
    for name, gas in table.items():
        record_property(name, gas)
        if name.startswith("mint"):
            assert gas <= MINT_LIMIT, (name, gas)
