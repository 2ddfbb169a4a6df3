"""A whole Hong Kong zone on an EVM, fed by a simulated ledger with real keys and certificates."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from bridge.delivery.clearances import GateClearances
from bridge.delivery.executor import ExecutorSettings
from bridge.delivery.layer2 import EvmLayer2
from bridge.delivery.node import DeliveryNode
from bridge.delivery.order import Order
from bridge.delivery.store import DeliveryStore
from compliance.evidence.store import DecisionStore
from compliance.transfer.gate import TransferGate, default_rules
from compliance.transfer.model import ScreeningSettings
from compliance.transfer.sanctions import ConfiguredLists, sample_list
from compliance.transfer.signer import LocalClearanceSigner
from hk_l2 import keys, network
from hk_l2.bindings import CredentialRegistry, MintController, RWAToken
from hk_l2.chain import Call, Receipt
from hk_l2.deploy import CommitteeMember, DeployConfig, Deployer, Roles, TokenConfig
from hk_l2.evm import EvmClient, dev_key
from hk_l2.network import NetworkProfile
from hk_l2.txsender import TxSender
from hk_l2.typed_data import sign_digest
from mainland_chain.crypto.sm3 import sm3
from tests.unit.mainland_chain.light.simulated_ledger import ASSET_REF, LOCK_REF, SimulatedLedger

ISSUER_KEY = bytes([7]) * 32
SIGNER_KEYS = (bytes([21]) * 32, bytes([22]) * 32)
ISSUER = keys.from_private_key(ISSUER_KEY)
RECIPIENT = keys.from_private_key(bytes([9]) * 32).address
RELAYER_KEY = bytes([31]) * 32

_NAME = {"legalPersonName": "Harbour Sun Limited", "legalPersonNameIdentifierType": "LEGL"}
IDENTITY = {
    "payloadMetadata": {"payloadVersion": "101.2023"},
    "originator": {
        "originatorPerson": [
            {
                "legalPerson": {
                    "name": {"nameIdentifier": [_NAME]},
                    "geographicAddress": [
                        {
                            "addressType": "GEOG",
                            "addressLine": ["1 Example Street"],
                            "townName": "Hong Kong",
                            "country": "HK",
                        }
                    ],
                    "nationalIdentification": {
                        "nationalIdentifier": "213800WSGIIZCXF1P572",
                        "nationalIdentifierType": "LEIX",
                    },
                },
                "accountNumber": ["ISSUER-0001"],
            }
        ]
    },
    "beneficiary": {
        "beneficiaryPerson": [
            {
                "naturalPerson": {
                    "name": {
                        "nameIdentifier": [
                            {
                                "primaryIdentifier": "Chan",
                                "secondaryIdentifier": "Tai Man",
                                "naturalPersonNameIdentifierType": "LEGL",
                            }
                        ]
                    },
                    "dateAndPlaceOfBirth": {"dateOfBirth": "1980-02-29", "placeOfBirth": "Hong Kong"},
                    "countryOfResidence": "HK",
                },
                "accountNumber": [RECIPIENT],
            }
        ]
    },
    "originatingVASP": {"originatingVASP": {"legalPerson": {"name": {"nameIdentifier": [_NAME]}}}},
    "beneficiaryVASP": {"beneficiaryVASP": {"legalPerson": {"name": {"nameIdentifier": [_NAME]}}}},
}
IDENTITY_BYTES = json.dumps(IDENTITY).encode()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wait_for(client: EvmClient, tx_hash: bytes) -> Receipt:
    for _ in range(400):
        receipt = client.receipt(tx_hash)
        if receipt is not None:
            assert receipt.succeeded
            return receipt
        time.sleep(0.05)
    raise AssertionError("not mined")


@dataclass
class World:
    """Contracts, keys and stores; nodes come and go."""

    client: EvmClient
    profile: NetworkProfile
    admin: LocalAccount
    folder: Path
    relayer: LocalAccount = field(default_factory=lambda: keys.from_private_key(RELAYER_KEY))

    def __post_init__(self) -> None:
        self.ledger = SimulatedLedger(clock=now_ms() - 3_600_000)
        chain_id = self.client.chain_id()
        self.sender = TxSender(self.client, self.admin, chain_id, self.profile.gas)
        members = self.ledger.validators.members
        own = self.sender.address
        roles = dict.fromkeys(Roles.__dataclass_fields__, own)
        roles["resumer"] = keys.from_private_key(bytes([41]) * 32).address
        self.signers = [LocalClearanceSigner(key) for key in SIGNER_KEYS]
        config = DeployConfig(
            ledger_chain_id=self.ledger.chain_id,
            epoch=0,
            committee=tuple(
                CommitteeMember(
                    m.org_id, int.from_bytes(m.public_key[:32], "big"), int.from_bytes(m.public_key[32:], "big")
                )
                for m in members
            ),
            roles=Roles(**roles),
            compliance_signers=tuple(keys.from_private_key(k).address for k in SIGNER_KEYS),
            clearance_threshold=2,
            telemetry_max_age_s=86_400 * 7,
        )
        self.deployer = Deployer(self.sender, config, self.folder / "manifest.json")
        self.deployment = self.deployer.run()
        self.controller = MintController(self.client, self.deployment.mint_controller)
        self.domain = self.controller.domain()
        self.ledger.destination = self.domain.destination()
        self.token = RWAToken(self.client, self.deployer.deploy_token(TokenConfig(ASSET_REF, "PV right", "PVR")))
        registry = CredentialRegistry(self.client, self.deployment.credential_registry)
        self.send(
            registry.issue(
                RECIPIENT,
                country=344,
                expiry=now_ms() // 1000 + 86_400 * 365,
                investor_class=1,
                claim_id=sm3(b"credential"),
            )
        )
        self.send(Call(self.relayer.address, b"", "fund the relayer", 10**20))

    def send(self, call: Call) -> Receipt:
        prepared = self.sender.prepare(call)
        self.sender.broadcast(prepared)
        return wait_for(self.client, prepared.tx_hash)

    def layer2(self, lock: Any = None) -> EvmLayer2:
        return EvmLayer2(self.client, self.deployment, self.profile, self.relayer, self.ledger.chain_id, lock)

    def clearances(self) -> GateClearances:
        decisions = DecisionStore(f"sqlite:///{self.folder / 'decisions.db'}")
        gate = TransferGate(
            signers=self.signers,
            chain_id=self.domain.chain_id,
            controller=bytes.fromhex(self.domain.controller[2:]),
            store=decisions,
            lists=ConfiguredLists((sample_list(now_ms()),)),
            screening=ScreeningSettings(36_500, allow_sample=True),
            rules=default_rules(),
        )
        return GateClearances(gate, decisions)

    def node(
        self,
        probe: Callable[[str], None] = lambda point: None,
        *,
        start: bool = True,
        settings: ExecutorSettings | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> DeliveryNode:
        node = DeliveryNode(
            store=DeliveryStore(f"sqlite:///{self.folder / 'delivery.db'}"),
            layer2=self.layer2(),
            clearances=self.clearances(),
            genesis=self.ledger.genesis,
            clock=clock,
            settings=settings or ExecutorSettings(watch_ms=0),
            probe=probe,
        )
        if start:
            node.start()
        return node

    def register_token(self) -> None:
        info = self.controller.asset_info(ASSET_REF)
        if info is not None and info.token is None:
            self.send(self.controller.register_token(ASSET_REF, self.token.address))

    def order(self, number: int = 1, *, units: int = 10, key: bytes = ISSUER_KEY, **changes: Any) -> Order:
        values: dict[str, Any] = {
            "order_id": sm3(b"order %d" % number),
            "lock_ref": LOCK_REF,
            "recipient": bytes.fromhex(RECIPIENT[2:]),
            "units": units,
            "deadline": now_ms() // 1000 + 7200,
            "issuer_signature": bytes(65),
            "unit_price_hkd_cents": 10_000,
            **changes,
        }
        unsigned = Order(**values)
        values["issuer_signature"] = sign_digest(key, self.domain.order_digest(unsigned.terms()))
        return Order(**values)


def embedded_world(client: EvmClient, folder: Path) -> World:
    return World(client, network.load("embedded"), keys.from_private_key(dev_key(client, 0)), folder)
