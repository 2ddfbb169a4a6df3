"""Binding of `RWAToken`: ERC-20 with ERC-3643 and ERC-7943."""

from __future__ import annotations

from dataclasses import dataclass

from hk_l2.bindings.contract import Contract, role
from hk_l2.chain import BlockStamp, Call

PAUSER_ROLE = role("PAUSER_ROLE")
FREEZER_ROLE = role("FREEZER_ROLE")
ENFORCER_ROLE = role("ENFORCER_ROLE")


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account has."""

    balance: int
    frozen: int
    """May exceed the balance."""
    account_frozen: bool


class RWAToken(Contract):
    """Token of one asset."""

    artifact = "RWAToken"

    def total_supply(self, at: BlockStamp | None = None) -> int:
        """Tokens in circulation."""
        return int(self._read("totalSupply", at=at))

    def balance_of(self, account: str, at: BlockStamp | None = None) -> int:
        """Balance of an account."""
        return int(self._read("balanceOf", account, at=at))

    def holding(self, account: str, at: BlockStamp | None = None) -> Holding:
        """Balance and what of it is frozen."""
        return Holding(
            self.balance_of(account, at),
            int(self._read("getFrozenTokens", account, at=at)),
            bool(self._read("isFrozen", account, at=at)),
        )

    def asset_ref(self, at: BlockStamp | None = None) -> bytes:
        """Asset whose units the token mirrors."""
        return bytes(self._read("assetRef", at=at))

    def can_transfer(self, sender: str, recipient: str, units: int, at: BlockStamp | None = None) -> bool:
        """Whether the rules allow a transfer (ERC-7943)."""
        return bool(self._read("canTransfer", sender, recipient, units, at=at))

    def transfer(self, recipient: str, units: int) -> Call:
        """Transfers the sender's tokens."""
        return self._write("transfer", recipient, units)

    def set_frozen_tokens(self, account: str, units: int) -> Call:
        """Sets the frozen amount of an account."""
        return self._write("setFrozenTokens", account, units)

    def set_address_frozen(self, account: str, frozen: bool) -> Call:
        """Freezes or unfreezes an account."""
        return self._write("setAddressFrozen", account, frozen)

    def forced_transfer(self, sender: str, recipient: str, units: int) -> Call:
        """Moves tokens by legal order."""
        return self._write("forcedTransfer", sender, recipient, units)

    def pause(self) -> Call:
        """Pauses the token."""
        return self._write("pause")

    def unpause(self) -> Call:
        """Resumes the token."""
        return self._write("unpause")
