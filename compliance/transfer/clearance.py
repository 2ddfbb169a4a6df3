"""Clearances: the compliance signers' EIP-712 consent to one mint order (docs/protocol.md §6). Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

import coincurve
from eth_abi.abi import encode
from eth_hash.auto import keccak

from compliance.transfer.address import checksum_address
from lianqiao_base.errors import Rejected

DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
DOMAIN_NAME = b"Lianqiao MintController"
DOMAIN_VERSION = b"1"
CLEARANCE_TYPE = (
    b"Clearance(bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,bytes32 decisionHash,uint64 expiry)"
)
_HALF_ORDER = 0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0


@dataclass(frozen=True, slots=True)
class Clearance:
    """Consent to mint `units` for `recipient` under one order, until `expiry` (seconds UTC, EVM time).

    Ids and hashes are 32 bytes, addresses 20 bytes. Raises `Rejected("CLEARANCE_INVALID")`.
    """

    order_id: bytes
    lock_ref: bytes
    recipient: bytes
    units: int
    decision_hash: bytes
    expiry: int

    def __post_init__(self) -> None:
        if any(len(value) != 32 for value in (self.order_id, self.lock_ref, self.decision_hash)):
            raise Rejected("CLEARANCE_INVALID", "order id, lock reference and decision hash are 32 bytes")
        if len(self.recipient) != 20:
            raise Rejected("CLEARANCE_INVALID", "the recipient is 20 bytes")
        if not (0 < self.units < 2**256 and 0 < self.expiry < 2**64):
            raise Rejected("CLEARANCE_INVALID", "units or expiry out of range")

    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`."""
        types = ["bytes32", "bytes32", "bytes32", "address", "uint256", "bytes32", "uint64"]
        values = [self.order_id, self.lock_ref, self.recipient, self.units, self.decision_hash, self.expiry]
        return keccak(encode(types, [keccak(CLEARANCE_TYPE), *values]))

    def digest(self, chain_id: int, controller: bytes) -> bytes:
        """The 32 bytes to sign:

        `keccak(0x1901 ‖ domain separator ‖ hashStruct)`. `controller` is the MintController's address.
        """
        return keccak(b"\x19\x01" + domain_separator(chain_id, controller) + self.struct_hash())


@dataclass(frozen=True, slots=True)
class SignedClearance:
    """A clearance and its signatures (65 bytes `r‖s‖v`, v 27 or 28), ordered by strictly rising signer address."""

    clearance: Clearance
    signatures: tuple[bytes, ...]


def domain_separator(chain_id: int, controller: bytes) -> bytes:
    """EIP-712 domain separator of the MintController at `controller` on `chain_id`."""
    if len(controller) != 20 or not 0 < chain_id < 2**256:
        raise Rejected("CLEARANCE_INVALID", "the controller is 20 bytes and the chain id positive")
    types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    return keccak(
        encode(types, [keccak(DOMAIN_TYPE), keccak(DOMAIN_NAME), keccak(DOMAIN_VERSION), chain_id, controller])
    )


def recover(digest: bytes, signature: bytes) -> bytes:
    """Address that signed `digest`.

    Strict as the contract is: 65 bytes, low s, v 27 or 28. Raises `Rejected("CLEARANCE_SIGNATURE")`.
    """
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise _bad_signature("a signature is 65 bytes r, s, v with v 27 or 28")
    if int.from_bytes(signature[32:64]) > _HALF_ORDER:
        raise _bad_signature("the signature's s is in the upper half of the order")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        public = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception and ValueError
        raise _bad_signature("no key recovers from the signature") from error
    return address_of(public)


def address_of(public: coincurve.PublicKey) -> bytes:
    """The address of a secp256k1 key."""
    return keccak(public.format(compressed=False)[1:])[-20:]


def verify_clearance(
    signed: SignedClearance,
    *,
    chain_id: int,
    controller: bytes,
    allowed: AbstractSet[bytes],
    threshold: int,
    now_s: int | None = None,
) -> tuple[bytes, ...]:
    """Signers of a clearance, when enough of the `allowed` ones signed it for this chain and contract.

    Plan: (1) the threshold is real: at least one and no more than the allowed signers; (2) every signature recovers;
    (3) signers rise strictly, so nobody counts twice; (4) every signer is allowed; (5) there are `threshold` of them;
    (6) with `now_s` (seconds UTC), the clearance has not expired. An auditor of a past mint passes the block's time, or
    nothing. Raises `Rejected("CLEARANCE_…")`.
    """
    if not 1 <= threshold <= len(allowed):
        raise Rejected("CLEARANCE_THRESHOLD", "the threshold is 1 to the number of allowed signers")
    digest = signed.clearance.digest(chain_id, controller)
    signers = tuple(recover(digest, signature) for signature in signed.signatures)
    if any(later <= earlier for earlier, later in pairwise(signers)):
        raise Rejected("CLEARANCE_SIGNER_ORDER", "signers must rise strictly by address")
    for signer in signers:
        if signer not in allowed:
            raise Rejected(
                "CLEARANCE_SIGNER_UNKNOWN",
                "signed by a key that is no compliance signer",
                subject=checksum_address(signer),
            )
    if len(signers) < threshold:
        raise Rejected("CLEARANCE_THRESHOLD", f"{len(signers)} signatures of {threshold} needed")
    if now_s is not None and now_s > signed.clearance.expiry:
        raise Rejected("CLEARANCE_EXPIRED", "the clearance has expired", hint="ask the transfer gate again")
    return signers


def _bad_signature(problem: str) -> Rejected:
    return Rejected("CLEARANCE_SIGNATURE", problem)
