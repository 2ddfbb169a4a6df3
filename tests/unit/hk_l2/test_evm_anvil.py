"""The same client against a JSON-RPC node: its errors come in other words and must mean the same."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from evm_chain import Chain, build

from hk_l2 import evm, keys, network
from hk_l2.chain import Call
from hk_l2.errors import EvmUnavailable, InsufficientFunds, NonceConflict, RevertError
from hk_l2.finality import FinalityReader, FinalityState
from hk_l2.network import TagRule
from hk_l2.txsender import TxSender

ROOT = Path(__file__).resolve().parents[3]
ANVIL = ROOT / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
# First account of the well-known development mnemonic "test test ... junk".
DEV_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
HOLDER = "0x52908400098527886E0F7030069857D2E4169EE7"

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def node() -> Iterator[Chain]:
    if not ANVIL.is_file():
        pytest.skip(f"anvil is not installed: run `npm ci` in {ROOT}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([str(ANVIL), "--port", str(port), "--silent"], stdout=subprocess.DEVNULL)
    client = evm.connect(f"http://127.0.0.1:{port}", timeout_s=10)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                client.chain_id()
                break
            except EvmUnavailable:
                assert time.monotonic() < deadline, "anvil did not start"
                time.sleep(0.05)
        yield build(client, DEV_KEY, network.load("anvil"))
    finally:
        process.terminate()
        process.wait(10)


def issue(chain: Chain, claim: bytes) -> Call:
    return chain.registry.issue(HOLDER, country=344, expiry=chain.now() + 1000, investor_class=2, claim_id=claim)


def test_estimates_sends_and_repeats(node: Chain) -> None:
    prepared = node.sender.prepare(issue(node, b"\x01" * 32))
    for _ in range(2):
        node.sender.broadcast(prepared)
    receipt = node.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert receipt.succeeded
    assert receipt.gas_used < prepared.gas_limit < 2 * receipt.gas_used
    assert node.registry.is_eligible(HOLDER, node.client.block_stamp())
    assert len(node.client.logs(node.registry.address, (), 0, receipt.block_number)) >= len(receipt.logs) == 1


def test_reverts_are_named(node: Chain) -> None:
    with pytest.raises(RevertError) as caught:
        node.sender.prepare(node.registry.revoke(b"\x01" * 32))
    assert caught.value.error_name == "AccessControlUnauthorizedAccount"
    assert caught.value.arguments["account"] == node.sender.address
    with pytest.raises(RevertError) as caught:
        node.sender.prepare(issue(node, bytes(32)))
    assert caught.value.error_name == "InvalidClaimId"


def test_mined_failures_are_explained(node: Chain) -> None:
    prepared = node.sender.prepare(node.registry.revoke(b"\x01" * 32), gas_limit=200_000)
    node.sender.broadcast(prepared)
    receipt = node.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert not receipt.succeeded
    assert node.sender.failure(prepared, receipt).error_name == "AccessControlUnauthorizedAccount"


def test_nonce_taken(node: Chain) -> None:
    rival = node.fresh_sender()
    ours, theirs = node.sender.prepare(issue(node, b"\x02" * 32)), rival.prepare(issue(node, b"\x03" * 32))
    rival.broadcast(theirs)
    with pytest.raises(NonceConflict):
        node.sender.broadcast(ours)
    node.sender.restore([])


def test_replacement_while_waiting(node: Chain) -> None:
    node.client.web3.provider.make_request("evm_setAutomine", [False])  # type: ignore[arg-type]
    try:
        prepared = node.sender.prepare(issue(node, b"\x04" * 32))
        node.sender.broadcast(prepared)
        dearer = node.sender.replace(prepared)
        node.sender.broadcast(dearer)
        following = node.sender.prepare(issue(node, b"\x05" * 32))
        node.sender.broadcast(following)
        assert following.nonce == prepared.nonce + 1
        node.client.web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
    finally:
        node.client.web3.provider.make_request("evm_setAutomine", [True])  # type: ignore[arg-type]
    assert node.sender.receipt(prepared.tx_hash) is None
    for mined in (dearer, following):
        receipt = node.sender.receipt(mined.tx_hash)
        assert receipt is not None
        assert receipt.succeeded


def test_an_account_without_money(node: Chain) -> None:
    sender = TxSender(node.client, keys.generate(), node.chain_id, node.gas)
    with pytest.raises(InsufficientFunds):
        sender.broadcast(sender.prepare(Call(HOLDER, b"", "nothing"), gas_limit=21_000))


def test_a_reorganisation_is_seen(node: Chain) -> None:
    prepared = node.sender.prepare(issue(node, b"\x06" * 32))
    node.sender.broadcast(prepared)
    receipt = node.sender.receipt(prepared.tx_hash)
    assert receipt is not None
    reader = FinalityReader(node.client, TagRule(kind="tag", tag="finalized"))
    assert reader.check(receipt.block_number, receipt.block_hash).state is FinalityState.PENDING
    answer = node.client.web3.provider.make_request("anvil_reorg", [1, []])  # type: ignore[arg-type]
    assert "error" not in answer
    assert reader.check(receipt.block_number, receipt.block_hash).state is FinalityState.REORGED
    node.sender.restore([])
