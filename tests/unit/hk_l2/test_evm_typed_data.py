"""EIP-712 digests against eth_account's general implementation."""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from hk_l2 import keys
from hk_l2.typed_data import ClearanceData, Domain, MintOrder, sign_digest

CONTROLLER = "0x52908400098527886E0F7030069857D2E4169EE7"
RECIPIENT = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
TYPES = {
    "EIP712Domain": "string name,string version,uint256 chainId,address verifyingContract",
    "MintOrder": "bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,uint64 deadline",
    "Clearance": "bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,bytes32 decisionHash,uint64 expiry",
}
WORDS = st.binary(min_size=32, max_size=32)


def reference(kind: str, chain_id: int, message: dict[str, Any], key: bytes) -> bytes:
    types = {
        name: [{"type": part.split()[0], "name": part.split()[1]} for part in text.split(",")]
        for name, text in TYPES.items()
        if name in ("EIP712Domain", kind)
    }
    document = {
        "types": types,
        "primaryType": kind,
        "domain": {
            "name": "Lianqiao MintController",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": CONTROLLER,
        },
        "message": message,
    }
    return bytes(Account.sign_message(encode_typed_data(full_message=document), key).signature)


@given(WORDS, WORDS, WORDS, st.integers(0, 2**256 - 1), st.integers(0, 2**64 - 1), st.integers(1, 2**63))
def test_same_signatures_as_eth_account(
    order_id: bytes, lock_ref: bytes, decision: bytes, units: int, time: int, chain_id: int
) -> None:
    key = bytes(keys.from_private_key(b"\x07" * 32).key)
    domain = Domain(chain_id, CONTROLLER)
    order = MintOrder(order_id, lock_ref, RECIPIENT, units, time)
    common = {"orderId": order_id, "lockRef": lock_ref, "recipient": RECIPIENT, "units": units}
    assert sign_digest(key, domain.order_digest(order)) == reference(
        "MintOrder", chain_id, {**common, "deadline": time}, key
    )
    clearance = ClearanceData(decision, time)
    assert sign_digest(key, domain.clearance_digest(order, clearance)) == reference(
        "Clearance", chain_id, {**common, "decisionHash": decision, "expiry": time}, key
    )
