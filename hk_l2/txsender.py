"""Sends transactions of one key, in three steps that survive a crash between any two of them:

    prepared = sender.prepare(call)      # signed, nothing sent: store it
    sender.broadcast(prepared)           # repeat at will, also after a restart
    receipt = sender.receipt(prepared.tx_hash)

The sender keeps one nonce lane. A nonce is used up by a successful broadcast alone, so a failed one leaves no gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from web3 import Web3

from hk_l2.abi_codec import decode_revert
from hk_l2.chain import BlockStamp, Call, Receipt
from hk_l2.errors import FeeCapExceeded, LaneBusy, NonceConflict, RevertError, WrongNetwork
from hk_l2.evm import EvmClient
from hk_l2.network import GasRule
from lianqiao_base.errors import LianqiaoError, Rejected

MIN_REPLACEMENT_BUMP_PERCENT = 10
"""Nodes refuse to replace a transaction for less."""


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """A signed transaction and what is needed to follow or replace it. Holds no secret."""

    raw: bytes
    tx_hash: bytes
    sender: str
    nonce: int
    call: Call
    gas_limit: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int

    def to_document(self) -> dict[str, str | int | None]:
        """Plain JSON values, to be stored before the broadcast."""
        return {
            "raw": self.raw.hex(),
            "tx_hash": self.tx_hash.hex(),
            "sender": self.sender,
            "nonce": self.nonce,
            "to": self.call.to,
            "data": self.call.data.hex(),
            "label": self.call.label,
            "value": str(self.call.value),
            "gas_limit": self.gas_limit,
            "max_fee_per_gas": str(self.max_fee_per_gas),
            "max_priority_fee_per_gas": str(self.max_priority_fee_per_gas),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PreparedTransaction:
        """Reads what `to_document` wrote."""
        return cls(
            raw=bytes.fromhex(document["raw"]),
            tx_hash=bytes.fromhex(document["tx_hash"]),
            sender=document["sender"],
            nonce=document["nonce"],
            call=Call(document["to"], bytes.fromhex(document["data"]), document["label"], int(document["value"])),
            gas_limit=document["gas_limit"],
            max_fee_per_gas=int(document["max_fee_per_gas"]),
            max_priority_fee_per_gas=int(document["max_priority_fee_per_gas"]),
        )


class TxSender:
    """Nonce lane of one key on one chain. Not for use by two threads or two processes at a time."""

    def __init__(self, client: EvmClient, account: LocalAccount, chain_id: int, gas: GasRule) -> None:
        served = client.chain_id()
        if served != chain_id:
            raise WrongNetwork(
                "WRONG_NETWORK", f"the node serves chain {served}, not {chain_id}", hint="check URL and profile"
            )
        self._client = client
        self._account = account
        self._chain_id = chain_id
        self._gas = gas
        self._held: PreparedTransaction | None = None
        self._next_nonce = client.transaction_count(account.address)

    @property
    def address(self) -> str:
        """Address of the key."""
        return str(self._account.address)

    @property
    def next_nonce(self) -> int:
        """Nonce that the next new transaction gets."""
        return self._next_nonce

    @property
    def client(self) -> EvmClient:
        """Node that transactions go to."""
        return self._client

    def restore(self, pending: Iterable[PreparedTransaction]) -> None:
        """After a restart: continue behind the stored transactions that have no receipt yet. Broadcast them again afterwards."""
        mined = self._client.transaction_count(self.address)
        stored = [transaction.nonce for transaction in pending if transaction.sender == self.address]
        self._held = None
        self._next_nonce = max([mined, *(nonce + 1 for nonce in stored)])

    def prepare(self, call: Call, *, gas_limit: int | None = None) -> PreparedTransaction:
        """Estimates, prices and signs. The nonce is held until `broadcast` succeeds or `abandon`.

        Raises `RevertError` when the call would be refused, `LaneBusy` when a prepared transaction is still held,
        `FeeCapExceeded` when the network is dearer than the profile allows.
        """
        if self._held is not None:
            raise LaneBusy(
                "LANE_BUSY", "a prepared transaction has not been broadcast", subject="0x" + self._held.tx_hash.hex()
            )
        limit = gas_limit if gas_limit is not None else self._estimate(call)
        priority = self._gas.priority_fee_wei
        base = self._client.base_fee()
        if base + priority > self._gas.max_fee_cap_wei:
            raise FeeCapExceeded("FEE_CAP_EXCEEDED", f"base fee {base} wei", hint="wait, or raise max_fee_cap_wei")
        ceiling = min(base * self._gas.base_fee_multiplier_percent // 100 + priority, self._gas.max_fee_cap_wei)
        self._held = self._sign(call, self._next_nonce, limit, ceiling, priority)
        return self._held

    def broadcast(self, prepared: PreparedTransaction) -> None:
        """Hands the transaction to the node; fine when the node has it already.

        Raises `NonceConflict` when another transaction took the nonce, a `Retryable` when the node cannot be reached.
        """
        try:
            self._client.send_raw(prepared.raw)
        except LianqiaoError as error:
            # Nodes word "I have that" in many ways; asking is surer than reading.
            if not self._client.knows(prepared.tx_hash):
                if self._client.transaction_count(self.address) > prepared.nonce:
                    raise NonceConflict(
                        "NONCE_CONFLICT",
                        f"nonce {prepared.nonce} was used by another transaction",
                        subject="0x" + prepared.tx_hash.hex(),
                        hint="look for a replacement of this transaction; prepare a new one if there is none",
                    ) from error
                raise
        if self._held is not None and self._held.nonce == prepared.nonce:
            self._held = None
        self._next_nonce = max(self._next_nonce, prepared.nonce + 1)

    def abandon(self, prepared: PreparedTransaction) -> None:
        """Gives up a transaction that was prepared and never broadcast; its nonce is free again."""
        if self._held != prepared:
            raise Rejected("NOT_HELD", "only the held, never broadcast transaction can be abandoned")
        self._held = None

    def replace(self, prepared: PreparedTransaction, *, bump_percent: int = 25) -> PreparedTransaction:
        """The same call with the same nonce and higher fees. Store it beside the old one: either may be mined."""
        if bump_percent < MIN_REPLACEMENT_BUMP_PERCENT:
            raise Rejected("BUMP_TOO_SMALL", f"a replacement needs at least {MIN_REPLACEMENT_BUMP_PERCENT} % more")
        ceiling = _bumped(prepared.max_fee_per_gas, bump_percent)
        if ceiling > self._gas.max_fee_cap_wei:
            raise FeeCapExceeded("FEE_CAP_EXCEEDED", f"{ceiling} wei per gas", hint="raise max_fee_cap_wei")
        priority = _bumped(prepared.max_priority_fee_per_gas, bump_percent)
        return self._sign(prepared.call, prepared.nonce, prepared.gas_limit, ceiling, priority)

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Receipt, or None while the transaction is not mined."""
        return self._client.receipt(tx_hash)

    def failure(self, prepared: PreparedTransaction, receipt: Receipt) -> RevertError:
        """Why a mined transaction failed, by running its call on the state before its block."""
        before = BlockStamp(receipt.block_number - 1, b"", 0)
        try:
            self._client.call(prepared.call, at=before, sender=prepared.sender)
        except RevertError as error:
            return error
        if receipt.gas_used == prepared.gas_limit:
            return RevertError("out of gas", {"gas_limit": prepared.gas_limit}, b"", subject=prepared.call.label)
        return decode_revert(b"", subject=prepared.call.label)

    def _estimate(self, call: Call) -> int:
        if self._gas.fixed_gas_limit is not None:
            self._client.call(call, sender=self.address)
            return self._gas.fixed_gas_limit
        estimate = self._client.estimate_gas(call, self.address)
        return estimate * (100 + self._gas.gas_margin_percent) // 100

    def _sign(self, call: Call, nonce: int, gas_limit: int, ceiling: int, priority: int) -> PreparedTransaction:
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "gas": gas_limit,
            "maxFeePerGas": ceiling,
            "maxPriorityFeePerGas": priority,
            "value": call.value,
            "data": call.data,
        }
        if call.to is not None:
            fields["to"] = Web3.to_checksum_address(call.to)
        # ECDSA nonces are derived (RFC 6979): the same transaction always has the same bytes and hash.
        signed = self._account.sign_transaction(fields)
        return PreparedTransaction(
            raw=bytes(signed.raw_transaction),
            tx_hash=bytes(signed.hash),
            sender=self.address,
            nonce=nonce,
            call=call,
            gas_limit=gas_limit,
            max_fee_per_gas=ceiling,
            max_priority_fee_per_gas=priority,
        )


def _bumped(fee: int, percent: int) -> int:
    return -(-fee * (100 + percent) // 100)
