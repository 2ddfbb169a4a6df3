"""Reads a mined transaction with everything that ties it to its block's hash, from any node. What does not hash is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from eth_utils.conversions import to_bytes
from web3.providers.eth_tester import EthereumTesterProvider

from bridge.bundle import trie
from hk_l2.evm import EvmClient
from lianqiao_base.errors import Fatal, NotFound, Retryable

# In header order (execution specifications, `blocks.py`): those from baseFeePerGas on came with later forks.
_HEADER = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot",
    "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
)  # fmt: skip
_HEADER_NUMBERS = {
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction, its receipt and the header of its block, each with its proof."""

    header: bytes
    block_hash: bytes
    index: int
    transaction: bytes
    transaction_proof: tuple[bytes, ...]
    receipt: bytes
    receipt_proof: tuple[bytes, ...]


def read_mined(client: EvmClient, tx_hash: bytes) -> MinedTransaction:
    """The mined transaction `tx_hash`. Raises `NotFound`, and `Fatal("BLOCK_DOES_NOT_HASH")` for a node whose answers do not
    add up to its block hash."""
    receipt = client.receipt(tx_hash)
    if receipt is None:
        raise NotFound("NOT_MINED", "the transaction is not mined", subject=tx_hash.hex())
    if isinstance(client.web3.provider, EthereumTesterProvider):
        header, transactions, receipts = _embedded(client, receipt.block_number)
    else:
        header, transactions, receipts = _json_rpc(client, receipt.block_hash)
    hashes = [keccak(raw) for raw in transactions]
    if tx_hash not in hashes:
        raise _unsound("the block does not hold the transaction")
    fields = cast("Sequence[bytes]", rlp.decode(header))
    roots = (trie.root_of(transactions), trie.root_of(receipts))
    if keccak(header) != receipt.block_hash or roots != (fields[4], fields[5]):
        raise _unsound("header, transactions or receipts do not hash to the block's hash and roots")
    index = hashes.index(tx_hash)
    return MinedTransaction(
        header,
        receipt.block_hash,
        index,
        transactions[index],
        trie.prove(transactions, index),
        receipts[index],
        trie.prove(receipts, index),
    )


def _embedded(client: EvmClient, number: int) -> tuple[bytes, list[bytes], list[bytes]]:
    chain = cast("Any", client.web3.provider).ethereum_tester.backend.chain
    block = chain.get_canonical_block_by_number(number)
    receipts = block.get_receipts(chain.chaindb)
    return rlp.encode(block.header), [t.encode() for t in block.transactions], [r.encode() for r in receipts]


def _json_rpc(client: EvmClient, block_hash: bytes) -> tuple[bytes, list[bytes], list[bytes]]:
    block = _ask(client, "eth_getBlockByHash", ["0x" + block_hash.hex(), False])
    header = rlp.encode(
        [_number(block[f]) if f in _HEADER_NUMBERS else to_bytes(hexstr=block[f]) for f in _HEADER if f in block]
    )
    hashes = block["transactions"]
    transactions = [to_bytes(hexstr=_ask(client, "eth_getRawTransactionByHash", [h])) for h in hashes]
    receipts = [_receipt(_ask(client, "eth_getTransactionReceipt", [h])) for h in hashes]
    return header, transactions, receipts


def _receipt(found: dict[str, Any]) -> bytes:
    kind = _number(found.get("type") or "0x0")
    logs = [
        [to_bytes(hexstr=e["address"]), [to_bytes(hexstr=t) for t in e["topics"]], to_bytes(hexstr=e["data"])]
        for e in found["logs"]
    ]
    status = to_bytes(hexstr=found["root"]) if found.get("root") else _number(found["status"])
    fields = [status, _number(found["cumulativeGasUsed"]), to_bytes(hexstr=found["logsBloom"]), logs]
    # Deposits of an OP-stack chain hash two fields more (deposit receipts since Regolith and Canyon).
    fields += [_number(found[f]) for f in ("depositNonce", "depositReceiptVersion") if found.get(f) is not None]
    encoded: bytes = rlp.encode(fields)
    return bytes([kind]) + encoded if kind else encoded


def _number(value: str) -> int:
    return int(value, 16)


def _ask(client: EvmClient, method: str, parameters: list[Any]) -> Any:
    try:
        answer: Any = client.web3.provider.make_request(cast("Any", method), parameters)
    except OSError as error:
        raise Retryable("NODE_UNREACHABLE", "the L2 node does not answer", hint="try again") from error
    if answer.get("result") is None:
        raise Fatal(
            "NODE_CANNOT_ANSWER", f"the node does not answer {method}", hint="use a node that offers this method"
        )
    return answer["result"]


def _unsound(message: str) -> Fatal:
    return Fatal("BLOCK_DOES_NOT_HASH", message, hint="use another node for the evidence")
