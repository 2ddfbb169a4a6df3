"""EIP-712 digests of mint orders and clearances: docs/protocol.md, section 6. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

DOMAIN_NAME = "Lianqiao MintController"
DOMAIN_VERSION = "1"
_DOMAIN_TYPE = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_ORDER_TYPE = keccak(text="MintOrder(bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,uint64 deadline)")
_CLEARANCE_TYPE = keccak(
    text="Clearance(bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,bytes32 decisionHash,uint64 expiry)"
)


@dataclass(frozen=True, slots=True)
class MintOrder:
    """An issuer's order to mint from its lock."""

    order_id: bytes
    lock_ref: bytes
    recipient: str
    units: int
    deadline: int
    """Last second (EVM time) at which the order may be carried out."""


@dataclass(frozen=True, slots=True)
class ClearanceData:
    """What a clearance adds to the order it clears."""

    decision_hash: bytes
    expiry: int
    """Last second (EVM time) at which the clearance counts."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one controller on one chain."""

    chain_id: int
    controller: str

    def separator(self) -> bytes:
        """EIP-712 domain separator."""
        values = (
            _DOMAIN_TYPE,
            keccak(text=DOMAIN_NAME),
            keccak(text=DOMAIN_VERSION),
            self.chain_id,
            self.controller,
        )
        return bytes(keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], values)))

    def order_digest(self, order: MintOrder) -> bytes:
        """What the issuer signs."""
        types = ["bytes32", "bytes32", "bytes32", "address", "uint256", "uint64"]
        values = (_ORDER_TYPE, order.order_id, order.lock_ref, order.recipient, order.units, order.deadline)
        return self._digest(encode(types, values))

    def clearance_digest(self, order: MintOrder, clearance: ClearanceData) -> bytes:
        """What each compliance signer signs."""
        types = ["bytes32", "bytes32", "bytes32", "address", "uint256", "bytes32", "uint64"]
        values = (
            _CLEARANCE_TYPE,
            order.order_id,
            order.lock_ref,
            order.recipient,
            order.units,
            clearance.decision_hash,
            clearance.expiry,
        )
        return self._digest(encode(types, values))

    def destination(self) -> bytes:
        """What claims for this controller name as their destination."""
        return bytes(keccak(encode(["uint256", "address"], (self.chain_id, self.controller))))

    def _digest(self, struct: bytes) -> bytes:
        return bytes(keccak(b"\x19\x01" + self.separator() + keccak(struct)))


def sign_digest(private_key: bytes, digest: bytes) -> bytes:
    """65-byte `r ‖ s ‖ v` over a digest, v in {27, 28}, as OpenZeppelin's ECDSA wants it."""
    signature = PrivateKey(private_key).sign_msg_hash(digest)
    r, s = int(signature.r), int(signature.s)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + signature.v])
