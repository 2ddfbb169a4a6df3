"""The mint side on a bare EVM: every contract deployed, every role with a holder of its own, one asset, one lock, one order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_abi import encode
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from evm_harness import Contract, Evm, Reverted

from hk_l2.typed_data import ClearanceData, Domain, MintOrder, sign_digest

NOW = 1_800_000_000
NOW_MS = NOW * 1000
DAY_MS = 86_400_000
LEDGER = keccak(b"ledger")
ASSET = keccak(b"asset")
PROFILE = keccak(b"pv_revenue_right")
LOCK = keccak(b"lock")
ZERO = "0x" + "00" * 20
ZERO32 = bytes(32)
UNIT_COUNT = 1000
LOCK_UNITS = 400
MAX_AGE = 86_400

ENVELOPE = "(bytes32,bytes32,bytes32,bytes32,uint64,bytes32,bytes32,uint64,uint64)"
FIELDS = "(string,uint8,string)[]"
CLAIM_TYPES = {
    "AssetClaim": f"({ENVELOPE},bytes32,uint64,{FIELDS})",
    "TelemetryClaim": f"({ENVELOPE},uint64,uint64,uint64,uint64,uint64,uint64,{FIELDS})",
    "UnitLockClaim": f"({ENVELOPE},bytes32,uint64,address,string,uint64,uint64,{FIELDS})",
}


def key(name: str) -> PrivateKey:
    return PrivateKey(keccak(b"key of " + name.encode()))


def address(name: str) -> str:
    return key(name).public_key.to_checksum_address()


@contextmanager
def reverts(name: str, *arguments: Any) -> Iterator[None]:
    """The block fails with this very custom error; `...` stands for any argument."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.name == name, caught.value
    given = caught.value.values
    if arguments:
        assert len(given) == len(arguments)
        for value, expected in zip(given, arguments, strict=True):
            if expected is not ...:
                folded = (value.lower(), expected.lower()) if isinstance(expected, str) else (value, expected)
                assert folded[0] == folded[1], caught.value


def missing_role(account: str, role_name: str) -> Any:
    role = ZERO32 if role_name == "DEFAULT_ADMIN_ROLE" else keccak(role_name.encode())
    return reverts("AccessControlUnauthorizedAccount", account, role)


@dataclass(frozen=True)
class Claim:
    """A claim before encoding; any field of envelope or body can be replaced."""

    kind: str
    envelope: dict[str, Any]
    body: dict[str, Any]

    def but(self, **changes: Any) -> Claim:
        unknown = changes.keys() - self.envelope.keys() - self.body.keys()
        assert not unknown, unknown
        return Claim(
            self.kind,
            {name: changes.get(name, value) for name, value in self.envelope.items()},
            {name: changes.get(name, value) for name, value in self.body.items()},
        )

    def encode(self) -> bytes:
        values = (tuple(self.envelope.values()), *self.body.values())
        return encode([CLAIM_TYPES[self.kind]], [values])


def leaf_of(claim: bytes) -> bytes:
    return keccak(b"\x00" + claim)


@dataclass
class World:
    """Deployed contracts and the usual inputs."""

    evm: Evm = field(default_factory=lambda: Evm(NOW))
    signers: tuple[str, ...] = ("signer a", "signer b", "signer c")
    threshold: int = 2
    real_light_client: Contract | None = None
    """In place of the double; its ledger's chain id must be `LEDGER`."""
    caller: Contract | None = None
    """A contract that passes calls on, where a test needs one."""

    def __post_init__(self) -> None:
        evm, admin = self.evm, address("admin")
        self.light_client = self.real_light_client or evm.deploy("LightClientDouble", LEDGER)
        self.credentials = evm.deploy("CredentialRegistry", admin)
        self.feed = evm.deploy("TelemetryFeed", admin, MAX_AGE)
        self.controller = evm.deploy(
            "MintController",
            self.light_client.address,
            self.feed.address,
            self.credentials.address,
            admin,
            [address(name) for name in self.signers],
            self.threshold,
        )
        self.feed.transact("bindController", self.controller.address, sender=admin)
        self.rules = evm.deploy("TransferCompliance", self.credentials.address, admin)
        self.token = self.deploy_token(ASSET, self.rules)
        for contract, holders in (
            (
                self.credentials,
                {"CREDENTIAL_ISSUER_ROLE": "issuer of credentials", "CREDENTIAL_REVOKER_ROLE": "revoker"},
            ),
            (self.feed, {"FEED_ADMIN_ROLE": "feed admin"}),
            (self.rules, {"RULES_ROLE": "rules"}),
            (self.token, {"PAUSER_ROLE": "pauser", "FREEZER_ROLE": "freezer", "ENFORCER_ROLE": "enforcer"}),
            (
                self.controller,
                {
                    "GUARDIAN_ROLE": "guardian",
                    "RESUMER_ROLE": "resumer",
                    "ASSET_ADMIN_ROLE": "asset admin",
                    "COMPLIANCE_ADMIN_ROLE": "compliance admin",
                },
            ),
        ):
            for role_name, holder in holders.items():
                contract.transact("grantRole", keccak(role_name.encode()), address(holder), sender=admin)
        self.domain = Domain(1, self.controller.address)

    def deploy_token(self, asset_ref: bytes, rules: Contract, controller: str = "") -> Contract:
        return self.evm.deploy(
            "RWAToken",
            "PV Revenue Right 1",
            "PVR1",
            asset_ref,
            controller or self.controller.address,
            self.credentials.address,
            rules.address,
            address("admin"),
        )

    # -------------------------------------------------------------------------------------------- claims

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "claimType": keccak(f"lianqiao.claim.{kind}.v1".encode()),
            "chainId": LEDGER,
            "destination": self.domain.destination(),
            "assetRef": ASSET,
            "policyVersion": 1,
            "decisionHash": keccak(b"export decision"),
            "evidenceRoot": keccak(b"evidence"),
            "height": 10,
            "timeMs": self.evm.timestamp * 1000 - 1000,
        }

    def asset_claim(self) -> Claim:
        body = {"profile": PROFILE, "unitCount": UNIT_COUNT, "fields": [("province", 4, "42")]}
        return Claim("AssetClaim", self._envelope("AssetClaim"), body)

    def telemetry_claim(self) -> Claim:
        body = {
            "intervalStartMs": self.evm.timestamp * 1000 - 3_600_000,
            "intervalEndMs": self.evm.timestamp * 1000 - 2_000,
            "energyWh": 500,
            "cumulativeEnergyWh": 90_500,
            "readingCount": 4,
            "flaggedCount": 1,
            "fields": [],
        }
        return Claim("TelemetryClaim", self._envelope("TelemetryClaim"), body)

    def lock_claim(self) -> Claim:
        body = {
            "lockRef": LOCK,
            "units": LOCK_UNITS,
            "issuer": address("issuer"),
            "filingReference": "CSRC-2026-001",
            "approvalExpiryMs": NOW_MS + 60 * DAY_MS,
            "expiryMs": NOW_MS + 30 * DAY_MS,
            "fields": [("capacity_mw", 3, "50-100")],
        }
        return Claim("UnitLockClaim", self._envelope("UnitLockClaim"), body)

    def log(self, claim: bytes) -> bytes:
        """Puts the claim into the export log, so to say."""
        self.light_client.transact("accept", leaf_of(claim))
        return claim

    def prove(self, claim: Claim | bytes, function: str = "") -> bool:
        encoded = claim.encode() if isinstance(claim, Claim) else claim
        if not function:
            assert isinstance(claim, Claim)
            function = {"AssetClaim": "proveAsset", "TelemetryClaim": "proveTelemetry", "UnitLockClaim": "proveLock"}[
                claim.kind
            ]
        return bool(self.controller.transact(function, self.log(encoded), 0, 1, []))

    # -------------------------------------------------------------------------------------------- credentials and minting

    def admit(self, name: str, *, country: int = 344, investor_class: int = 3, claim: str = "") -> str:
        self.credentials.transact(
            "issue",
            address(name),
            country,
            NOW + 10**8,
            investor_class,
            keccak((claim or name).encode()),
            sender=address("issuer of credentials"),
        )
        return address(name)

    def ready(self) -> World:
        """All four yeses in place: asset, telemetry, lock, token; the recipient admitted."""
        self.prove(self.asset_claim())
        self.prove(self.telemetry_claim())
        self.prove(self.lock_claim())
        self.controller.transact("registerToken", ASSET, self.token.address, sender=address("asset admin"))
        self.admit("alice")
        return self

    def order(self, **changes: Any) -> MintOrder:
        plain = MintOrder(keccak(b"order 1"), LOCK, address("alice"), 100, NOW + 10**7)
        return replace(plain, **changes)

    def clearance(self, **changes: Any) -> ClearanceData:
        return replace(ClearanceData(keccak(b"transfer decision"), NOW + 3600), **changes)

    def sign_order(self, order: MintOrder, signer: str = "issuer") -> bytes:
        return sign_digest(key(signer).to_bytes(), self.domain.order_digest(order))

    def sign_clearance(self, order: MintOrder, clearance: ClearanceData, *names: str) -> list[bytes]:
        """Signatures by rising address."""
        digest = self.domain.clearance_digest(order, clearance)
        return [sign_digest(key(name).to_bytes(), digest) for name in self.in_order(*names)]

    def in_order(self, *names: str) -> list[str]:
        return sorted(names or self.signers[: self.threshold], key=lambda name: int(address(name), 16))

    def mint_arguments(
        self,
        order: MintOrder,
        clearance: ClearanceData | None = None,
        *,
        order_signature: bytes | None = None,
        signatures: list[bytes] | None = None,
    ) -> tuple[Any, ...]:
        cleared = clearance or self.clearance()
        return (
            (order.order_id, order.lock_ref, order.recipient, order.units, order.deadline),
            self.sign_order(order) if order_signature is None else order_signature,
            (cleared.decision_hash, cleared.expiry),
            self.sign_clearance(order, cleared) if signatures is None else signatures,
        )

    def mint(self, order: MintOrder | None = None, clearance: ClearanceData | None = None, **options: Any) -> None:
        self.controller.transact("mint", *self.mint_arguments(order or self.order(), clearance, **options))

    def mint_to(self, name: str, units: int) -> str:
        """Units for a holder, who is admitted at need."""
        holder = address(name)
        if not self.credentials.isEligible(holder):
            self.admit(name)
        self.mint(self.order(order_id=keccak(b"for %s %d" % (name.encode(), units)), recipient=holder, units=units))
        return holder

    def lock_info(self, lock_ref: bytes = LOCK) -> dict[str, Any]:
        names = [
            "leaf",
            "assetRef",
            "issuer",
            "units",
            "minted",
            "mintable",
            "redeemed",
            "lapsed",
            "approvalExpiryMs",
            "expiryMs",
        ]
        return dict(zip(names, self.controller.lockInfo(lock_ref), strict=True))

    def asset_info(self, asset_ref: bytes = ASSET) -> dict[str, Any]:
        names = ["leaf", "profile", "unitCount", "encumberedUnits", "height", "token"]
        return dict(zip(names, self.controller.assetInfo(asset_ref), strict=True))
