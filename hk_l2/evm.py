"""The one place that talks to an EVM node, in process or by JSON-RPC, and turns its many complaints into our errors."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from eth_typing import ChecksumAddress, HexStr
from eth_utils.exceptions import ValidationError
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception, Web3RPCError
from web3.types import BlockIdentifier, TxParams, Wei

from hk_l2.abi_codec import decode_revert
from hk_l2.chain import BlockStamp, Call, EventLog, Receipt
from hk_l2.errors import BroadcastRefused, EvmUnavailable, FeeTooLow, InsufficientFunds, NonceConflict, RevertError
from lianqiao_base.errors import LianqiaoError, NotFound

_T = TypeVar("_T")
_REVERT_PREFIX = "execution reverted"
_EMBEDDED_BLOCK_GAS = 30_000_000


class EvmClient:
    """Reads and broadcasts. Holds no keys and no state."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3

    def chain_id(self) -> int:
        """Chain id that the node reports."""
        return self._ask(lambda: self.web3.eth.chain_id)

    def block_stamp(self, block: int | str = "latest") -> BlockStamp:
        """Number, hash and time of a block, by number or tag. Raises `NotFound`."""
        found = self._ask(lambda: self.web3.eth.get_block(cast("BlockIdentifier", block)), subject=f"block {block}")
        return BlockStamp(int(found["number"]), bytes(found["hash"]), int(found["timestamp"]))

    def base_fee(self) -> int:
        """Base fee of the newest block, wei; 0 where the chain has none."""
        return int(self._ask(lambda: self.web3.eth.get_block("latest")).get("baseFeePerGas", 0))

    def call(self, call: Call, *, at: BlockStamp | None = None, sender: str | None = None) -> bytes:
        """Result of a call that changes nothing, at the given block or the newest one. Raises `RevertError`."""
        block: BlockIdentifier = "latest" if at is None else cast("BlockIdentifier", at.number)
        return bytes(self._ask(lambda: self.web3.eth.call(self._parameters(call, sender), block), subject=call.label))

    def estimate_gas(self, call: Call, sender: str) -> int:
        """Gas the call would use now. Simulates first: only a call gives the revert's data on every node."""
        self.call(call, sender=sender)
        return self._ask(lambda: self.web3.eth.estimate_gas(self._parameters(call, sender)), subject=call.label)

    def transaction_count(self, address: str) -> int:
        """Nonce of the account's next transaction after the mined ones."""
        return self._ask(lambda: self.web3.eth.get_transaction_count(_address(address), "latest"))

    def balance(self, address: str) -> int:
        """Balance, wei."""
        return self._ask(lambda: self.web3.eth.get_balance(_address(address)))

    def code(self, address: str) -> bytes:
        """Code at an address, empty when there is none."""
        return bytes(self._ask(lambda: self.web3.eth.get_code(_address(address))))

    def send_raw(self, raw: bytes) -> None:
        """Hands a signed transaction to the node."""
        self._ask(lambda: self.web3.eth.send_raw_transaction(raw))

    def knows(self, transaction_hash: bytes) -> bool:
        """Whether the node has the transaction, mined or waiting."""
        try:
            self._ask(lambda: self.web3.eth.get_transaction(HexStr("0x" + transaction_hash.hex())))
        except NotFound:
            return False
        return True

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Receipt of a mined transaction; None while there is none."""
        try:
            found = self._ask(lambda: self.web3.eth.get_transaction_receipt(HexStr("0x" + transaction_hash.hex())))
        except NotFound:
            return None
        return Receipt(
            transaction_hash=transaction_hash,
            block_number=int(found["blockNumber"]),
            block_hash=bytes(found["blockHash"]),
            succeeded=int(found["status"]) == 1,
            gas_used=int(found["gasUsed"]),
            effective_gas_price=int(found["effectiveGasPrice"]),
            contract_address=found["contractAddress"],
            logs=tuple(_event_log(entry) for entry in found["logs"]),
        )

    def logs(self, address: str, topics: Sequence[bytes], first_block: int, last_block: int) -> tuple[EventLog, ...]:
        """Log entries of a contract whose first topics are `topics`, by block range (both ends included)."""
        query: Any = {
            "address": _address(address),
            "topics": ["0x" + topic.hex() for topic in topics],
            "fromBlock": first_block,
            "toBlock": last_block,
        }
        # Some networks answer null for no logs.
        found: Any = self._ask(lambda: self.web3.eth.get_logs(query)) or ()
        return tuple(_event_log(entry) for entry in found)

    def _parameters(self, call: Call, sender: str | None) -> TxParams:
        parameters: TxParams = {"data": HexStr("0x" + call.data.hex()), "value": Wei(call.value)}
        if call.to is not None:
            parameters["to"] = _address(call.to)
        if sender is not None:
            parameters["from"] = _address(sender)
        return parameters

    def _ask(self, question: Callable[[], _T], *, subject: str = "") -> _T:
        try:
            return question()
        except TransactionNotFound as error:
            raise NotFound("TRANSACTION_NOT_FOUND", "the node does not know the transaction") from error
        except (Web3Exception, ValidationError, OSError, ValueError) as error:
            raise translate(error, subject) from error
        except Exception as error:
            # eth-tester's errors have no common base that could be imported without it.
            if type(error).__module__.startswith(("eth_tester", "eth.")):
                raise translate(error, subject) from error
            raise


def translate(error: Exception, subject: str = "") -> LianqiaoError:
    """What a node's exception means for the caller."""
    text = str(error)
    name = type(error).__name__
    lower = text.lower()
    revert = _revert_data(error, text)
    if revert is not None:
        return decode_revert(revert, subject=subject)
    if name == "TransactionFailed" or isinstance(error, ContractLogicError):
        reason = text.removeprefix(_REVERT_PREFIX).lstrip(": ")
        return RevertError("Error" if reason else "", {"reason": reason} if reason else {}, b"", subject=subject)
    if name == "BlockNotFound":
        return NotFound("BLOCK_NOT_FOUND", "the node does not have this block", subject=subject)
    if "insufficient funds" in lower or "cannot afford" in lower or "does not have enough balance" in lower:
        return InsufficientFunds("INSUFFICIENT_FUNDS", text, subject=subject, hint="fund the sending account")
    if "nonce" in lower:
        return NonceConflict("NONCE_CONFLICT", text, subject=subject)
    if "underpriced" in lower or "max fee per gas less than" in lower or "lower than block base fee" in lower:
        return FeeTooLow("FEE_TOO_LOW", text, subject=subject, hint="replace the transaction with a higher fee")
    if isinstance(error, OSError):  # also what `requests` raises
        return EvmUnavailable("EVM_UNAVAILABLE", f"{name}: no answer from the node", hint="try again")
    if isinstance(error, Web3RPCError | ValidationError) or name == "ValidationError":
        return BroadcastRefused("NODE_REFUSED", text, subject=subject)
    return EvmUnavailable("EVM_UNAVAILABLE", f"{name}: {text}", hint="try again")


def _revert_data(error: Exception, text: str) -> bytes | None:
    """Revert data in an exception: a hex field of JSON-RPC nodes, the text of a bytes literal of eth-tester."""
    data = getattr(error, "data", None)
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    literal = text.removeprefix(_REVERT_PREFIX).lstrip(": ")
    if literal.startswith(("b'", 'b"')):
        try:
            value = ast.literal_eval(literal)
        except (ValueError, SyntaxError):
            return None
        return value if isinstance(value, bytes) else None
    return None


def connect(url: str, *, timeout_s: float = 30) -> EvmClient:
    """Client of a JSON-RPC node."""
    return EvmClient(Web3(HTTPProvider(url, request_kwargs={"timeout": timeout_s})))


def embedded() -> EvmClient:
    """A fresh EVM in this process: one node, no consensus, gone when the process ends. Its accounts are `dev_key(0..9)`."""
    from eth_tester import EthereumTester, PyEVMBackend  # slow to import, only needed here
    from web3.providers.eth_tester import EthereumTesterProvider

    genesis = PyEVMBackend.generate_genesis_params(overrides={"gas_limit": _EMBEDDED_BLOCK_GAS})
    return EvmClient(Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend(genesis_parameters=genesis)))))


def dev_key(client: EvmClient, index: int) -> bytes:
    """Private key of a funded account of an embedded EVM; for nothing else."""
    backend = cast("Any", client.web3.provider).ethereum_tester.backend
    return bytes(backend.account_keys[index].to_bytes())


def _address(address: str) -> ChecksumAddress:
    return Web3.to_checksum_address(address)


def _event_log(entry: Any) -> EventLog:
    return EventLog(
        address=Web3.to_checksum_address(entry["address"]),
        topics=tuple(bytes(topic) for topic in entry["topics"]),
        data=bytes(entry["data"]),
        block_number=int(entry["blockNumber"]),
        block_hash=bytes(entry["blockHash"]),
        transaction_hash=bytes(entry["transactionHash"]),
        log_index=int(entry["logIndex"]),
    )
