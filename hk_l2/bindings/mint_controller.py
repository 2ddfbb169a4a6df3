"""Binding of `MintController`: proven claims in, tokens out, tokens back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hk_l2.bindings.contract import Contract, role
from hk_l2.chain import BlockStamp, Call, EventLog
from hk_l2.typed_data import ClearanceData, Domain, MintOrder

ASSET_ADMIN_ROLE = role("ASSET_ADMIN_ROLE")
COMPLIANCE_ADMIN_ROLE = role("COMPLIANCE_ADMIN_ROLE")
COMPLIANCE_SIGNER_ROLE = role("COMPLIANCE_SIGNER_ROLE")
GUARDIAN_ROLE = role("GUARDIAN_ROLE")
RESUMER_ROLE = role("RESUMER_ROLE")
ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class LockInfo:
    """A proven lock: units == minted + mintable + redeemed + lapsed."""

    leaf: bytes
    asset_ref: bytes
    issuer: str
    units: int
    minted: int
    """In circulation now."""
    mintable: int
    redeemed: int
    lapsed: int
    approval_expiry_ms: int
    expiry_ms: int


@dataclass(frozen=True, slots=True)
class AssetInfo:
    """A proven asset."""

    leaf: bytes
    profile: bytes
    unit_count: int
    encumbered_units: int
    height: int
    token: str | None


@dataclass(frozen=True, slots=True)
class OrderState:
    """Whether an order was carried out, for whom and how much."""

    used: bool
    recipient: str
    units: int


@dataclass(frozen=True, slots=True)
class Minted:
    """Event: an order was carried out."""

    order_id: bytes
    lock_ref: bytes
    asset_ref: bytes
    recipient: str
    units: int
    decision_hash: bytes
    log: EventLog


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Event: tokens were burned on their way back."""

    redemption_id: int
    lock_ref: bytes
    asset_ref: bytes
    holder: str
    units: int
    log: EventLog


class MintController(Contract):
    """The one contract that mints and burns."""

    artifact = "MintController"

    def domain(self) -> Domain:
        """EIP-712 domain of this controller."""
        return Domain(self._client.chain_id(), self.address)

    def destination(self, at: BlockStamp | None = None) -> bytes:
        """What claims for this contract name as their destination."""
        return bytes(self._read("destination", at=at))

    def lock_info(self, lock_ref: bytes, at: BlockStamp | None = None) -> LockInfo | None:
        """State of a lock, or None when it is not proven."""
        found = self._read("lockInfo", lock_ref, at=at)
        if not found["units"]:
            return None
        return LockInfo(
            found["leaf"],
            found["assetRef"],
            found["issuer"],
            found["units"],
            found["minted"],
            found["mintable"],
            found["redeemed"],
            found["lapsed"],
            found["approvalExpiryMs"],
            found["expiryMs"],
        )

    def asset_info(self, asset_ref: bytes, at: BlockStamp | None = None) -> AssetInfo | None:
        """State of an asset, or None when it is not proven."""
        found = self._read("assetInfo", asset_ref, at=at)
        if not found["unitCount"]:
            return None
        token = None if found["token"] == ZERO_ADDRESS else found["token"]
        return AssetInfo(
            found["leaf"],
            found["profile"],
            found["unitCount"],
            found["encumberedUnits"],
            found["height"],
            token,
        )

    def order_state(self, order_id: bytes, at: BlockStamp | None = None) -> OrderState:
        """State of an order."""
        return OrderState(*self._read_all("orderState", order_id, at=at))

    def claim_recorded(self, leaf: bytes, at: BlockStamp | None = None) -> bool:
        """Whether the claim with this export log leaf was recorded."""
        return bool(self._read("claimRecorded", leaf, at=at))

    def clearance_threshold(self, at: BlockStamp | None = None) -> int:
        """Compliance signatures a clearance needs."""
        return int(self._read("clearanceThreshold", at=at))

    def paused(self, at: BlockStamp | None = None) -> bool:
        """Whether a guardian has stopped minting and redeeming."""
        return bool(self._read("paused", at=at))

    def prove_asset(self, claim: bytes, index: int, log_size: int, proof: Sequence[bytes]) -> Call:
        """Records an asset claim."""
        return self._write("proveAsset", claim, index, log_size, list(proof))

    def prove_telemetry(self, claim: bytes, index: int, log_size: int, proof: Sequence[bytes]) -> Call:
        """Records a telemetry claim."""
        return self._write("proveTelemetry", claim, index, log_size, list(proof))

    def prove_lock(self, claim: bytes, index: int, log_size: int, proof: Sequence[bytes]) -> Call:
        """Records a lock claim."""
        return self._write("proveLock", claim, index, log_size, list(proof))

    def mint(
        self, order: MintOrder, issuer_signature: bytes, clearance: ClearanceData, clearance_signatures: Sequence[bytes]
    ) -> Call:
        """Carries out an order. Clearance signatures by strictly increasing signer address."""
        return self._write(
            "mint",
            (order.order_id, order.lock_ref, order.recipient, order.units, order.deadline),
            issuer_signature,
            (clearance.decision_hash, clearance.expiry),
            list(clearance_signatures),
        )

    def redeem(self, lock_ref: bytes, units: int) -> Call:
        """Burns the sender's tokens for a release on the mainland."""
        return self._write("redeem", lock_ref, units)

    def lapse(self, lock_ref: bytes) -> Call:
        """Gives what an expired lock can no longer mint back to its asset."""
        return self._write("lapse", lock_ref)

    def register_token(self, asset_ref: bytes, token: str) -> Call:
        """Names the token of a proven asset."""
        return self._write("registerToken", asset_ref, token)

    def set_clearance_threshold(self, threshold: int) -> Call:
        """Sets how many compliance signatures a clearance needs."""
        return self._write("setClearanceThreshold", threshold)

    def pause(self) -> Call:
        """Stops minting and redeeming."""
        return self._write("pause")

    def unpause(self) -> Call:
        """Resumes; never by the account that paused."""
        return self._write("unpause")

    def minted(self, logs: Iterable[EventLog]) -> list[Minted]:
        """`Minted` events of this contract among log entries."""
        return [
            Minted(e["orderId"], e["lockRef"], e["assetRef"], e["recipient"], e["units"], e["decisionHash"], log)
            for log, e in self._events(logs, "Minted")
        ]

    def redeemed(self, logs: Iterable[EventLog]) -> list[Redeemed]:
        """`Redeemed` events of this contract among log entries."""
        return [
            Redeemed(e["redemptionId"], e["lockRef"], e["assetRef"], e["holder"], e["units"], log)
            for log, e in self._events(logs, "Redeemed")
        ]
