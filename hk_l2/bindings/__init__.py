"""One small class per contract. Reads are pinned to a block and give plain frozen values; writes are `Call`s for others to send."""

from hk_l2.bindings.credential_registry import Credential, CredentialRegistry
from hk_l2.bindings.light_client import Checkpoint, LightClientHead, MainlandLightClient, SM2KeyRegistry
from hk_l2.bindings.mint_controller import AssetInfo, LockInfo, MintController, Minted, OrderState, Redeemed
from hk_l2.bindings.rwa_token import Holding, RWAToken
from hk_l2.bindings.telemetry_feed import TelemetryFeed, TelemetryRound

__all__ = [
    "AssetInfo",
    "Checkpoint",
    "Credential",
    "CredentialRegistry",
    "Holding",
    "LightClientHead",
    "LockInfo",
    "MainlandLightClient",
    "MintController",
    "Minted",
    "OrderState",
    "RWAToken",
    "Redeemed",
    "SM2KeyRegistry",
    "TelemetryFeed",
    "TelemetryRound",
]
