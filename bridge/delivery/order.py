"""A mint order as an issuer hands it in. Pure; the identity payload is no part of it and is never stored here."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from compliance.transfer.clearance import recover
from compliance.transfer.model import TransferOrder, UnitPrice
from hk_l2.typed_data import Domain, MintOrder
from lianqiao_base.errors import Rejected

MAX_DEADLINE = 2**53


@dataclass(frozen=True, slots=True)
class Order:
    """Ids of 32 bytes, recipient of 20, `deadline` in seconds (EVM time). Raises `Rejected("ORDER_INVALID")`."""

    order_id: bytes
    lock_ref: bytes
    recipient: bytes
    units: int
    deadline: int
    issuer_signature: bytes
    unit_price_hkd_cents: int
    """0: no price known."""

    def __post_init__(self) -> None:
        subject = self.order_id.hex()
        if len(self.order_id) != 32 or len(self.lock_ref) != 32 or not any(self.order_id):
            raise Rejected("ORDER_INVALID", "order id and lock reference have 32 bytes", subject=subject)
        if len(self.recipient) != 20 or not any(self.recipient):
            raise Rejected("ORDER_INVALID", "the recipient has 20 bytes and is not zero", subject=subject)
        if not 0 < self.units < 2**64 or not 0 < self.deadline < MAX_DEADLINE:
            raise Rejected("ORDER_INVALID", "units or deadline out of range", subject=subject)
        if len(self.issuer_signature) != 65:
            raise Rejected("ORDER_INVALID", "the issuer's signature has 65 bytes", subject=subject)
        if not 0 <= self.unit_price_hkd_cents < MAX_DEADLINE:
            raise Rejected("ORDER_INVALID", "price out of range", subject=subject)

    def terms(self) -> MintOrder:
        """What the issuer signs and the contract checks."""
        return MintOrder(self.order_id, self.lock_ref, to_checksum_address(self.recipient), self.units, self.deadline)

    def issuer(self, domain: Domain) -> bytes:
        """Address that signed the order. Raises `Rejected("ORDER_SIGNATURE")`."""
        try:
            return recover(domain.order_digest(self.terms()), self.issuer_signature)
        except Rejected as error:
            raise Rejected(
                "ORDER_SIGNATURE", error.message, subject=self.order_id.hex(), hint="sign the order (EIP-712)"
            ) from error

    def for_gate(self, issuer: bytes) -> TransferOrder:
        """The order as the transfer gate sees it."""
        return TransferOrder(self.order_id, self.lock_ref, issuer, self.recipient, self.units, self.deadline)

    def price(self, as_of_ms: int) -> UnitPrice | None:
        """Price of one unit, when given."""
        return UnitPrice("HKD", self.unit_price_hkd_cents, as_of_ms) if self.unit_price_hkd_cents else None
