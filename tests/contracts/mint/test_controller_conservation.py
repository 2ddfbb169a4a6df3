"""Random lives of a controller: whatever anybody does, in whatever order, units are conserved.

For every lock: units == minted + mintable + redeemed + lapsed. For every asset: the sum of `minted` over its locks is the token's total
supply, the sum of `minted + mintable` is what the asset counts as encumbered, and that never exceeds its unit count.
"""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak
from evm_harness import Reverted
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from mint_world import DAY_MS, LOCK, LOCK_UNITS, NOW_MS, UNIT_COUNT, World, address

HOLDERS = ("alice", "bob", "carol")
UNITS = st.one_of(st.integers(0, 60), st.integers(0, 2 * UNIT_COUNT), st.just(2**64 - 1))
EXPECTED = {
    "AssetUnitsExceeded",
    "ZeroUnits",
    "LockConflict",
    "LockExpired",
    "LockNotExpired",
    "LockAlreadyLapsed",
    "CapacityExceeded",
    "RedemptionExceedsMinted",
    "ERC20InsufficientBalance",
    "ERC7943InsufficientUnfrozenBalance",
    "OrderUsed",
    "TelemetryStale",
    "ForcedTransferToSelf",
}


class Conservation(RuleBasedStateMachine):
    """Model: what each lock must hold, kept beside the contract's own books."""

    locks = Bundle("locks")

    @initialize(target=locks)
    def start(self) -> Any:
        self.world = World().ready()
        self.world.feed.transact("setMaxAge", 31 * 86_400, sender=address("feed admin"))
        for name in HOLDERS:
            self.world.admit(name)
        self.books: dict[bytes, dict[str, int]] = {}
        self.orders = 0
        self._open_book(LOCK, LOCK_UNITS)
        return LOCK

    def _open_book(self, lock_ref: bytes, units: int) -> None:
        self.books[lock_ref] = {"units": units, "minted": 0, "mintable": units, "redeemed": 0, "lapsed": 0}

    def _attempt(self, contract: Any, *arguments: Any, sender: str = "mallory") -> bool:
        try:
            contract.transact(*arguments, sender=address(sender))
        except Reverted as error:
            assert error.name in EXPECTED, error
            return False
        return True

    @rule(target=locks, number=st.integers(0, 5), units=UNITS, days=st.integers(1, 40))
    def prove_lock(self, number: int, units: int, days: int) -> Any:
        lock_ref = keccak(b"lock %d" % number)
        claim = self.world.lock_claim().but(
            lockRef=lock_ref, units=units, expiryMs=NOW_MS + days * DAY_MS, approvalExpiryMs=NOW_MS + 400 * DAY_MS
        )
        encoded = self.world.log(claim.encode())
        if not self._attempt(self.world.controller, "proveLock", encoded, 0, 1, []):
            return multiple()
        if lock_ref in self.books:
            return multiple()
        self._open_book(lock_ref, units)
        return lock_ref

    @rule(lock_ref=locks, holder=st.sampled_from(HOLDERS), units=UNITS, replay=st.booleans())
    def mint(self, lock_ref: bytes, holder: str, units: int, replay: bool) -> None:
        self.orders += not replay
        order = self.world.order(
            order_id=keccak(b"order %d" % self.orders),
            lock_ref=lock_ref,
            recipient=address(holder),
            units=units,
            deadline=2**63,
        )
        arguments = self.world.mint_arguments(order, self.world.clearance(expiry=2**63))
        if self._attempt(self.world.controller, "mint", *arguments):
            self.books[lock_ref]["minted"] += units
            self.books[lock_ref]["mintable"] -= units

    @rule(lock_ref=locks, holder=st.sampled_from(HOLDERS), units=UNITS)
    def redeem(self, lock_ref: bytes, holder: str, units: int) -> None:
        if self._attempt(self.world.controller, "redeem", lock_ref, units, sender=holder):
            self.books[lock_ref]["minted"] -= units
            self.books[lock_ref]["redeemed"] += units

    @rule(lock_ref=locks)
    def lapse(self, lock_ref: bytes) -> None:
        if self._attempt(self.world.controller, "lapse", lock_ref):
            book = self.books[lock_ref]
            book["lapsed"], book["mintable"] = book["mintable"], 0

    @rule(sender=st.sampled_from(HOLDERS), recipient=st.sampled_from(HOLDERS), units=UNITS)
    def transfer(self, sender: str, recipient: str, units: int) -> None:
        self._attempt(self.world.token, "transfer", address(recipient), units, sender=sender)

    @rule(sender=st.sampled_from(HOLDERS), recipient=st.sampled_from(HOLDERS), units=UNITS)
    def seize(self, sender: str, recipient: str, units: int) -> None:
        self._attempt(self.world.token, "forcedTransfer", address(sender), address(recipient), units, sender="enforcer")

    @rule(holder=st.sampled_from(HOLDERS), units=UNITS)
    def freeze(self, holder: str, units: int) -> None:
        self._attempt(self.world.token, "setFrozenTokens", address(holder), units, sender="freezer")

    @rule(days=st.integers(1, 10))
    def wait(self, days: int) -> None:
        self.world.evm.set_time(self.world.evm.timestamp + days * 86_400)

    @invariant()
    def conserved(self) -> None:
        if not hasattr(self, "books"):
            return
        totals = {"minted": 0, "encumbered": 0}
        for lock_ref, book in self.books.items():
            info = self.world.lock_info(lock_ref)
            assert {name: info[name] for name in book} == book
            assert book["units"] == book["minted"] + book["mintable"] + book["redeemed"] + book["lapsed"]
            totals["minted"] += book["minted"]
            totals["encumbered"] += book["minted"] + book["mintable"]
        asset = self.world.asset_info()
        assert asset["encumberedUnits"] == totals["encumbered"] <= asset["unitCount"]
        assert self.world.token.totalSupply() == totals["minted"]


TestConservation = Conservation.TestCase
TestConservation.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
