"""The Hong Kong side of a demonstration: contracts on an EVM, the delivery node behind gRPC, the transfer gate, the issuer."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from eth_account.signers.local import LocalAccount

from bridge.delivery.app import DeliveryServer, Listener
from bridge.delivery.clearances import GateClearances
from bridge.delivery.client import DeliveryClient, Traced
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
from hk_l2.bindings import CredentialRegistry, MintController, RWAToken, TelemetryFeed
from hk_l2.chain import Call, Receipt
from hk_l2.deploy import CommitteeMember, DeployConfig, Deployer, Roles, TokenConfig
from hk_l2.evm import EvmClient, connect, embedded
from hk_l2.txsender import TxSender
from hk_l2.typed_data import sign_digest
from lianqiao_base.errors import Fatal, PreconditionFailed, Rejected
from lianqiao_base.tls import Authority, fingerprint
from mainland_chain.light.genesis import Genesis

TELEMETRY_MAX_AGE_S = 3 * 86_400
HONG_KONG = 344
FUNDS_WEI = 10**19
UNIT_PRICE_HKD_CENTS = 10_000


def clock_ms() -> int:
    """Wall clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class MintedOrder:
    """An order and where it stands."""

    order: Order
    identity: bytes
    trace: Traced


class HongKongZone:
    """Contracts, delivery and issuer of one run. `l2_url` empty: an EVM in this process."""

    def __init__(self, folder: Path, genesis: Genesis, l2_url: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.genesis = genesis
        self.evm: EvmClient = connect(l2_url) if l2_url else embedded()
        chain_id = self.evm.chain_id()
        self.profile = network.load("anvil", chain_id=chain_id) if l2_url else network.load("embedded")
        self.lock = threading.RLock()
        self.deployer_account, self.relayer, self.asset_admin, self.registrar, self.issuer = (
            keys.generate() for _ in range(5)
        )
        self._fund(self.deployer_account, self.relayer, self.asset_admin, self.registrar)
        self.signers = [LocalClearanceSigner(secrets.token_bytes(32)) for _ in range(2)]
        self.gas: list[tuple[str, int, bytes]] = []
        self._chain_id = chain_id

    def _fund(self, *accounts: LocalAccount) -> None:
        """Development nodes have unlocked, funded accounts; anything else must not be used by a demonstration."""
        unlocked = self.evm.web3.eth.accounts
        if not unlocked:
            raise Rejected(
                "NOT_A_DEVELOPMENT_NODE",
                "the node has no unlocked account to pay with",
                hint="start anvil, or leave --l2-url out to use the embedded EVM",
            )
        for account in accounts:
            sent = self.evm.web3.eth.send_transaction(
                {"from": unlocked[0], "to": account.address, "value": FUNDS_WEI}  # type: ignore[typeddict-item]
            )
            self.evm.web3.eth.wait_for_transaction_receipt(sent, timeout=30, poll_latency=0.05)

    def deploy(self) -> None:
        """All contracts; the light client starts from the ledger's genesis validators."""
        others = {name: keys.generate().address for name in ("admin", "guardian", "resumer", "enforcer", "compliance")}
        validators = self.genesis.validator_set()
        config = DeployConfig(
            ledger_chain_id=self.genesis.chain_id,
            epoch=validators.epoch,
            committee=tuple(
                CommitteeMember(
                    m.org_id, int.from_bytes(m.public_key[:32], "big"), int.from_bytes(m.public_key[32:], "big")
                )
                for m in validators.members
            ),
            roles=Roles(
                admin=others["admin"],
                guardian=others["guardian"],
                resumer=others["resumer"],
                asset_admin=self.asset_admin.address,
                compliance_admin=others["compliance"],
                credential_issuer=self.registrar.address,
                credential_revoker=self.registrar.address,
                feed_admin=others["admin"],
                token_pauser=others["guardian"],
                token_freezer=others["enforcer"],
                token_enforcer=others["enforcer"],
                token_rules=others["compliance"],
            ),
            compliance_signers=tuple(self.evm.web3.to_checksum_address(s.address) for s in self.signers),
            clearance_threshold=2,
            telemetry_max_age_s=TELEMETRY_MAX_AGE_S,
        )
        sender = TxSender(self.evm, self.deployer_account, self._chain_id, self.profile.gas)
        self.manifest_path = self.folder / "deployment.json"
        self._deployer = Deployer(sender, config, self.manifest_path, poll_s=0.02)
        self.deployment = self._deployer.run()
        self.controller = MintController(self.evm, self.deployment.mint_controller)
        self.feed = TelemetryFeed(self.evm, self.deployment.telemetry_feed)
        self.domain = self.controller.domain()
        self._admin_sender = TxSender(self.evm, self.asset_admin, self._chain_id, self.profile.gas)
        self._registrar_sender = TxSender(self.evm, self.registrar, self._chain_id, self.profile.gas)

    async def start(self) -> None:
        """Delivery behind mutual TLS; one certificate for the bridge, one for the issuer."""
        now = dt.datetime.now(dt.UTC)
        authority = Authority.create(self.folder / "tls", "Lianqiao demo border CA", now)
        server, self.bridge_tls, self.issuer_tls = (authority.issue(n, now) for n in ("delivery", "bridge", "issuer"))
        self.layer2 = EvmLayer2(self.evm, self.deployment, self.profile, self.relayer, self.genesis.chain_id, self.lock)
        self.decisions = DecisionStore(f"sqlite:///{self.folder / 'decisions.sqlite3'}")
        self.store = DeliveryStore(f"sqlite:///{self.folder / 'delivery.sqlite3'}")
        gate = TransferGate(
            signers=self.signers,
            chain_id=self.domain.chain_id,
            controller=bytes.fromhex(self.domain.controller[2:]),
            store=self.decisions,
            lists=ConfiguredLists((sample_list(clock_ms()),)),
            screening=ScreeningSettings(36_500, allow_sample=True),
            rules=default_rules(),
        )
        self.node = DeliveryNode(
            store=self.store,
            layer2=self.layer2,
            clearances=GateClearances(gate, self.decisions),
            genesis=self.genesis,
            clock=clock_ms,
        )
        allowed = [frozenset({fingerprint(f.certificate.read_bytes())}) for f in (self.bridge_tls, self.issuer_tls)]
        self.server = DeliveryServer(self.node, Listener("127.0.0.1:0", server, *allowed))
        await self.server.start()
        self.target = f"127.0.0.1:{self.server.port}"

    async def stop(self) -> None:
        await self.server.stop()
        self.store.close()
        self.decisions.close()

    def bridge_client(self) -> DeliveryClient:
        return DeliveryClient(self.target, self.bridge_tls)

    def issuer_client(self) -> DeliveryClient:
        return DeliveryClient(self.target, self.issuer_tls)

    async def wait_final(self, item_id: bytes, client: DeliveryClient, timeout_s: float = 60) -> Traced:
        """Wait until an item is final, refused or held. Raises `Fatal("DEMO_TIMEOUT")`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            traced = await client.trace(item_id)
            if traced.state in ("final", "refused", "held"):
                return traced
            await asyncio.sleep(0.05)
        raise Fatal("DEMO_TIMEOUT", f"still {traced.state}: {traced.reason}", subject=item_id.hex())

    def launch_token(self, asset_ref: bytes) -> None:
        """Deploy the asset's token and register it; possible once the asset is proven."""
        with self.lock:
            address = self._deployer.deploy_token(TokenConfig(asset_ref, "Qinghe PV Revenue Right", "QHPV"))
            self.token = RWAToken(self.evm, address)
            self._send(self._admin_sender, self.controller.register_token(asset_ref, address))

    def admit_investor(self, address: str) -> None:
        """Issue a credential; the contract sees no personal data, only a random claim id."""
        registry = CredentialRegistry(self.evm, self.deployment.credential_registry)
        call = registry.issue(
            address,
            country=HONG_KONG,
            expiry=clock_ms() // 1000 + 365 * 86_400,
            investor_class=1,
            claim_id=secrets.token_bytes(32),
        )
        with self.lock:
            self._send(self._registrar_sender, call)

    def _send(self, sender: TxSender, call: Call) -> Receipt:
        prepared = sender.prepare(call)
        sender.broadcast(prepared)
        for _ in range(600):
            receipt = self.evm.receipt(prepared.tx_hash)
            if receipt is not None:
                if not receipt.succeeded:
                    raise PreconditionFailed("CALL_REVERTED", call.label, subject=prepared.tx_hash.hex())
                self.gas.append((call.label, receipt.gas_used, prepared.tx_hash))
                return receipt
            time.sleep(0.02)
        raise Fatal("DEMO_TIMEOUT", f"{call.label} was not mined", subject=prepared.tx_hash.hex())

    def signed_order(self, lock_ref: bytes, recipient: str, units: int) -> Order:
        """An order under the issuer's signature."""
        unsigned = Order(
            order_id=secrets.token_bytes(32),
            lock_ref=lock_ref,
            recipient=bytes.fromhex(recipient[2:]),
            units=units,
            deadline=clock_ms() // 1000 + 86_400,
            issuer_signature=bytes(65),
            unit_price_hkd_cents=UNIT_PRICE_HKD_CENTS,
        )
        signature = sign_digest(bytes(self.issuer.key), self.domain.order_digest(unsigned.terms()))
        return Order(
            unsigned.order_id,
            unsigned.lock_ref,
            unsigned.recipient,
            unsigned.units,
            unsigned.deadline,
            signature,
            unsigned.unit_price_hkd_cents,
        )
