"""An EVM in this process with a contract on it that can refuse."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from hk_l2 import artifacts, keys, network
from hk_l2.abi_codec import contract_abi
from hk_l2.bindings import CredentialRegistry
from hk_l2.bindings.credential_registry import CREDENTIAL_ISSUER_ROLE
from hk_l2.chain import Call
from hk_l2.evm import EvmClient
from hk_l2.network import GasRule
from hk_l2.txsender import TxSender


@dataclass
class Chain:
    """A funded key, a sender for it, and a registry that it administers."""

    client: EvmClient
    account: LocalAccount
    chain_id: int
    gas: GasRule
    sender: TxSender
    registry: CredentialRegistry

    def run(self, call: Call) -> bytes:
        prepared = self.sender.prepare(call)
        self.sender.broadcast(prepared)
        return prepared.tx_hash

    def fresh_sender(self) -> TxSender:
        return TxSender(self.client, self.account, self.chain_id, self.gas)

    def now(self) -> int:
        return self.client.block_stamp().timestamp


def build(client: EvmClient, private_key: bytes, profile: network.NetworkProfile) -> Chain:
    account = keys.from_private_key(private_key)
    sender = TxSender(client, account, profile.chain_id, profile.gas)
    artifact = artifacts.load("CredentialRegistry")
    data = artifact.bytecode + contract_abi("CredentialRegistry").encode_constructor([account.address])
    prepared = sender.prepare(Call(None, data, "deploy CredentialRegistry"))
    sender.broadcast(prepared)
    receipt = sender.receipt(prepared.tx_hash)
    assert receipt is not None
    assert receipt.contract_address is not None
    registry = CredentialRegistry(client, receipt.contract_address)
    chain = Chain(client, account, profile.chain_id, profile.gas, sender, registry)
    chain.run(registry.grant_role(CREDENTIAL_ISSUER_ROLE, account.address))
    return chain
