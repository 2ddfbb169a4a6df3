"""What the transfer gate looks at: one mint order, its price, its Travel Rule data, the lists and rules in use."""

from __future__ import annotations

from dataclasses import dataclass, field

from compliance.evidence.rules import RulePack
from compliance.transfer.address import checksum_address
from compliance.transfer.ivms import IdentityPayload
from compliance.transfer.sanctions import SanctionsList
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Rejected


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A mint order as the issuer signed it. Ids are 32 bytes, addresses 20; `deadline` is seconds UTC.

    Raises `Rejected("ORDER_INVALID")`.
    """

    order_id: bytes
    lock_ref: bytes
    issuer: bytes
    recipient: bytes
    units: int
    deadline: int

    def __post_init__(self) -> None:
        if len(self.order_id) != 32 or len(self.lock_ref) != 32:
            raise Rejected("ORDER_INVALID", "order id and lock reference are 32 bytes")
        if len(self.issuer) != 20 or len(self.recipient) != 20 or not any(self.recipient) or not any(self.issuer):
            raise Rejected(
                "ORDER_INVALID", "issuer and recipient are 20 bytes and not zero", subject=self.order_id.hex()
            )
        if not (0 < self.units < 2**64 and 0 < self.deadline < 2**53):
            raise Rejected("ORDER_INVALID", "units or deadline out of range", subject=self.order_id.hex())

    def to_json(self) -> dict[str, Json]:
        """Canonical form; units as a decimal string."""
        return {
            "deadline": self.deadline,
            "issuer": checksum_address(self.issuer),
            "lock_ref": self.lock_ref.hex(),
            "order_id": self.order_id.hex(),
            "recipient": checksum_address(self.recipient),
            "units": str(self.units),
        }


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """Price of one unit in minor units of `currency` (cents), as of `as_of_ms` (ms UTC).

    Raises `Rejected("PRICE_INVALID")`.
    """

    currency: str
    minor: int
    as_of_ms: int

    def __post_init__(self) -> None:
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise Rejected("PRICE_INVALID", "the currency is three capital letters (ISO 4217)")
        if not 0 < self.minor < 2**53 or not 0 <= self.as_of_ms < 2**53:
            raise Rejected("PRICE_INVALID", "price and date are positive integers")

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {"as_of_ms": self.as_of_ms, "currency": self.currency, "minor": self.minor}


@dataclass(frozen=True, slots=True)
class ScreeningSettings:
    """The operator's choices:

    the greatest age of a list in days, and whether a made-up sample list may serve (demonstrations).
    """

    max_age_days: int
    allow_sample: bool = False

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {"allow_sample": self.allow_sample, "max_age_days": self.max_age_days}


@dataclass(frozen=True, slots=True)
class TransferContext:
    """Everything one decision depends on.

    `identity` is None when no Travel Rule data came; `price` None when no price is known.
    """

    order: TransferOrder
    price: UnitPrice | None
    identity: IdentityPayload | None = field(repr=False)
    lists: tuple[SanctionsList, ...]
    screening: ScreeningSettings
    rules: RulePack
    now_ms: int
