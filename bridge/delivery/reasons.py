"""What a contract's refusal means for an item: wait, hold until it comes again, or never. With words and who must act."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridge.delivery.machine import Deferred, Event, Held, Refused
from hk_l2.errors import RevertError


class Disposition(Enum):
    """What to do."""

    WAIT = "wait"
    HOLD = "hold"
    REFUSE = "refuse"


BRIDGE = "the mainland side of the bridge"
ISSUER = "the issuer"
OPERATOR = "the operator of this node"
GUARDIAN = "the guardian or resumer of the contracts"
COMPLIANCE = "the compliance officer"
MEMBERS = "the members of the mainland ledger"


@dataclass(frozen=True, slots=True)
class Reason:
    """Meaning of one named error."""

    disposition: Disposition
    words: str
    actor: str = ""


def _wait(words: str, actor: str) -> Reason:
    return Reason(Disposition.WAIT, words, actor)


def _hold(words: str, actor: str) -> Reason:
    return Reason(Disposition.HOLD, words, actor)


def _never(words: str) -> Reason:
    return Reason(Disposition.REFUSE, words)


REASONS: dict[str, Reason] = {
    "AssetUnknown": _wait("the asset's own claim is not proven yet", BRIDGE),
    "TelemetryStale": _wait("the asset has no telemetry that is fresh enough", BRIDGE),
    "TokenNotRegistered": _wait("the asset has no token yet", "the asset administrator"),
    "RecipientNotEligible": _wait("the recipient holds no valid credential", "the credential issuer"),
    "IntervalInFuture": _wait("the L2's clock has not reached the end of the interval", OPERATOR),
    "EnforcedPause": _wait("the controller is paused", GUARDIAN),
    "LightClientFrozen": _wait("the light client is frozen after an equivocation", GUARDIAN),
    "ClientFrozen": _wait("the light client is frozen after an equivocation", GUARDIAN),
    # Another relayer was faster: the next plan sees the newer head.
    "StaleHeight": _wait("the light client moved on meanwhile", ""),
    "StaleLogSize": _wait("the light client moved on meanwhile", ""),
    "WrongEpoch": _wait("the light client moved to another epoch meanwhile", ""),
    "UnknownLogSize": _wait("the light client has not seen this log size yet", ""),
    "LockUnknown": _hold("the lock is not proven here", BRIDGE),
    "ClearanceExpired": _hold("the clearance expired; submit the order again to be cleared anew", ISSUER),
    "ClearanceThresholdNotMet": _hold("more compliance signatures are needed now", COMPLIANCE),
    "NotComplianceSigner": _hold("a compliance signer was replaced; submit the order again", COMPLIANCE),
    "OrderExpired": _never("the order's deadline has passed"),
    "OrderUsed": _never("another order was carried out under this id"),
    "LockExpired": _never("the lock has expired"),
    "ApprovalExpired": _never("the export approval of the lock has expired"),
    "CapacityExceeded": _never("the lock gives fewer units than are ordered"),
    "InvalidIssuerSignature": _never("the order is not signed by the lock's issuer"),
    "LockConflict": _never("another claim was proven for this lock"),
    "AssetUnitsExceeded": _never("the asset has fewer units than its locks would hold"),
    "AssetProfileChanged": _never("the asset was proven with another profile"),
    "AssetClaimNotNewer": _never("a newer claim of this asset is proven already"),
    "IntervalNotMonotonic": _never("a later interval of this asset is proven already"),
    "InvalidReadingCounts": _never("the claim has no readings, or more flagged ones than readings"),
    "EmptyInterval": _never("the telemetry interval is empty"),
    "ZeroUnits": _never("zero units"),
    "InvalidLockRef": _never("the lock reference is zero"),
    "InvalidIssuer": _never("the lock names no issuer"),
    "MissingFilingReference": _never("the lock names no filing"),
    "WrongLedger": _never("the claim is of another ledger than the contracts follow"),
    "WrongDestination": _never("the claim was made for another controller"),
    "ClaimNotInLog": _never("the contracts do not find the claim under this root"),
    "InvalidCertificate": _never("the contracts do not accept the certificate"),
    # The intervals between are still on their way: each one must join the one before.
    "CumulativeMismatch": _wait("an earlier interval of this asset is not proven yet", BRIDGE),
}

WAKES_ON_PROGRESS = (
    "AssetUnknown",
    "TelemetryStale",
    "TokenNotRegistered",
    "UnknownLogSize",
    "CumulativeMismatch",
    "StaleHeight",
    "StaleLogSize",
    "WrongEpoch",
)
"""Waits that another item of this node may end."""


def insist(error: RevertError, next_attempt_ms: int) -> Deferred:
    """What a refused report of an equivocation leads to: it was proven here, so it is tried again, and an operator must look."""
    return Deferred(error.error_name or error.code, error.message, OPERATOR, next_attempt_ms)


def judge(error: RevertError, next_attempt_ms: int) -> Event:
    """The event that a refused call leads to. An error without an entry waits: it is named, and an operator must look."""
    name = error.error_name or error.code
    reason = REASONS.get(error.error_name, _wait(error.message, OPERATOR))
    words = f"{reason.words} ({error.message})" if error.error_name in REASONS else error.message
    match reason.disposition:
        case Disposition.WAIT:
            return Deferred(name, words, reason.actor, next_attempt_ms)
        case Disposition.HOLD:
            return Held(name, words, reason.actor)
        case Disposition.REFUSE:
            return Refused(name, words)
