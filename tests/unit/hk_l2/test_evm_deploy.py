"""Deployment of everything, interrupted anywhere, and the bindings over the result."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hk_l2 import evm, keys, network
from hk_l2.bindings import (
    CredentialRegistry,
    LightClientHead,
    MainlandLightClient,
    MintController,
    RWAToken,
    SM2KeyRegistry,
    TelemetryFeed,
)
from hk_l2.bindings.contract import DEFAULT_ADMIN_ROLE, role
from hk_l2.chain import Receipt
from hk_l2.deploy import CommitteeMember, DeployConfig, Deployer, Roles, TokenConfig
from hk_l2.errors import DeploymentMismatch, RevertError
from hk_l2.evm import EvmClient
from hk_l2.manifest import Deployment, Manifest
from hk_l2.txsender import PreparedTransaction, TxSender
from lianqiao_base.errors import NotFound

LEDGER = b"\x11" * 32
ASSET = b"\x22" * 32
# The generator of the SM2 curve (GB/T 32918.5), that is the public key of the private key 1, and its double.
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF


def doubled(x: int, y: int) -> tuple[int, int]:
    slope = 3 * (x * x - 1) * pow(2 * y, -1, P) % P
    x2 = (slope * slope - 2 * x) % P
    return x2, (slope * (x - x2) - y) % P


def named(index: int) -> str:
    return str(keys.from_private_key(index.to_bytes(32, "big")).address)


ROLES = Roles(*(named(100 + i) for i in range(len(dataclasses.fields(Roles)))))
CONFIG = DeployConfig(
    ledger_chain_id=LEDGER,
    epoch=0,
    committee=(CommitteeMember(b"\x01" * 32, *doubled(*G)), CommitteeMember(b"\x02" * 32, *doubled(*doubled(*G)))),
    roles=ROLES,
    compliance_signers=(named(201), named(202), named(203)),
    clearance_threshold=2,
    telemetry_max_age_s=86_400,
)
TOKEN = TokenConfig(ASSET, "PV Revenue Right 1", "PVR1", min_investor_class=2, max_holding=500)


@pytest.fixture(scope="module")
def sender() -> Iterator[TxSender]:
    client, profile = evm.embedded(), network.load("embedded")
    account = keys.from_private_key(evm.dev_key(client, 0))
    yield TxSender(client, account, profile.chain_id, profile.gas)


@pytest.fixture(scope="module")
def deployed(sender: TxSender, tmp_path_factory: pytest.TempPathFactory) -> tuple[EvmClient, Path, Deployment]:
    path = tmp_path_factory.mktemp("deploy") / "manifest.json"
    deployer = Deployer(sender, CONFIG, path, poll_s=0.01)
    deployer.run()
    deployer.deploy_token(TOKEN)
    return sender.client, path, Deployment.load(path)


def test_contracts_know_each_other(deployed: tuple[EvmClient, Path, Deployment]) -> None:
    client, _, deployment = deployed
    stamp = client.block_stamp()
    light_client = MainlandLightClient(client, deployment.light_client)
    assert (light_client.chain_id(stamp), light_client.frozen(stamp)) == (LEDGER, False)
    assert light_client.head(stamp) == LightClientHead(0, 0, 0, 0)
    assert light_client.root_of(7, stamp) is None
    controller = MintController(client, deployment.mint_controller)
    assert controller.destination(stamp) == controller.domain().destination()
    assert (controller.clearance_threshold(stamp), controller.paused(stamp)) == (2, False)
    assert controller.lock_info(b"\x01" * 32, stamp) is None
    assert controller.asset_info(ASSET, stamp) is None
    assert not controller.order_state(b"\x01" * 32, stamp).used
    assert not controller.claim_recorded(b"\x01" * 32, stamp)
    feed = TelemetryFeed(client, deployment.telemetry_feed)
    assert (feed.max_age_s(stamp), feed.latest_round(ASSET, stamp)) == (86_400, None)
    assert not feed.is_fresh(ASSET, stamp.timestamp, stamp)
    assert SM2KeyRegistry(client, deployment.key_registry).table_of(*G) is None
    with pytest.raises(RevertError) as caught:
        feed.round(ASSET, 1, stamp)
    assert caught.value.error_name == "NoData"


def test_token_of_an_asset(deployed: tuple[EvmClient, Path, Deployment]) -> None:
    client, _, deployment = deployed
    token = RWAToken(client, deployment.tokens[ASSET])
    assert (token.asset_ref(), token.total_supply(), token.balance_of(named(1))) == (ASSET, 0, 0)
    assert token.holding(named(1)).frozen == 0
    assert not token.can_transfer(named(1), named(2), 1)


def test_the_deployer_keeps_no_right(deployed: tuple[EvmClient, Path, Deployment], sender: TxSender) -> None:
    client, path, deployment = deployed
    steps = Manifest.load(path).steps
    contracts = {
        MintController(client, deployment.mint_controller): {
            "GUARDIAN_ROLE": ROLES.guardian,
            "RESUMER_ROLE": ROLES.resumer,
            "ASSET_ADMIN_ROLE": ROLES.asset_admin,
            "COMPLIANCE_ADMIN_ROLE": ROLES.compliance_admin,
        },
        CredentialRegistry(client, deployment.credential_registry): {
            "CREDENTIAL_ISSUER_ROLE": ROLES.credential_issuer,
            "CREDENTIAL_REVOKER_ROLE": ROLES.credential_revoker,
        },
        TelemetryFeed(client, deployment.telemetry_feed): {"FEED_ADMIN_ROLE": ROLES.feed_admin},
        RWAToken(client, deployment.tokens[ASSET]): {
            "PAUSER_ROLE": ROLES.token_pauser,
            "FREEZER_ROLE": ROLES.token_freezer,
            "ENFORCER_ROLE": ROLES.token_enforcer,
        },
        RWAToken(client, steps[f"rules:{ASSET.hex()}"].address): {"RULES_ROLE": ROLES.token_rules},
    }
    for contract, holders in contracts.items():
        assert contract.has_role(DEFAULT_ADMIN_ROLE, ROLES.admin)
        assert not contract.has_role(DEFAULT_ADMIN_ROLE, sender.address)
        for name, holder in holders.items():
            assert contract.has_role(role(name), holder)
            assert not contract.has_role(role(name), sender.address)


def test_a_second_run_sends_nothing(deployed: tuple[EvmClient, Path, Deployment], sender: TxSender) -> None:
    _, path, deployment = deployed
    nonce, text = sender.next_nonce, path.read_text(encoding="utf-8")
    deployer = Deployer(sender, CONFIG, path)
    assert deployer.run() == deployment
    assert deployer.deploy_token(TOKEN) == deployment.tokens[ASSET]
    assert (sender.next_nonce, path.read_text(encoding="utf-8")) == (nonce, text)


def test_the_manifest_holds_no_secret(deployed: tuple[EvmClient, Path, Deployment]) -> None:
    client, path, _ = deployed
    assert evm.dev_key(client, 0).hex() not in path.read_text(encoding="utf-8")


def test_a_manifest_of_something_else_is_refused(
    deployed: tuple[EvmClient, Path, Deployment], sender: TxSender, tmp_path: Path
) -> None:
    _, path, _ = deployed
    with pytest.raises(DeploymentMismatch, match="another chain or configuration"):
        Deployer(sender, dataclasses.replace(CONFIG, epoch=1), path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["steps"][0]["address"] = named(9)
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeploymentMismatch, match="no such code"):
        Deployer(sender, CONFIG, moved)
    moved.write_text("{}", encoding="utf-8")
    with pytest.raises(DeploymentMismatch):
        Manifest.load(moved)
    with pytest.raises(NotFound):
        Deployment.load(tmp_path / "none.json")


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("moment", ["before broadcast", "after broadcast", "before receipt"])
def test_resumes_after_a_crash_without_deploying_twice(
    sender: TxSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "manifest.json"
    broadcast, receipt = sender.broadcast, sender.receipt
    start = sender.next_nonce

    def dying_broadcast(prepared: PreparedTransaction) -> None:
        if moment != "before broadcast":
            broadcast(prepared)
        if moment != "before receipt":
            raise Crash

    def dying_receipt(_: bytes) -> Receipt | None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(sender, "broadcast", dying_broadcast)
        patch.setattr(sender, "receipt", dying_receipt)
        with pytest.raises(Crash):
            Deployer(sender, CONFIG, path).run()
    assert receipt is not None
    with pytest.raises(DeploymentMismatch, match="is missing"):
        Deployment.load(path)
    account = keys.from_private_key(evm.dev_key(sender.client, 0))
    profile = network.load("embedded")
    fresh = TxSender(sender.client, account, profile.chain_id, profile.gas)
    done: list[str] = []
    Deployer(fresh, CONFIG, path, poll_s=0.01, progress=lambda step: done.append(step.name)).run()
    sender.restore([])
    assert fresh.next_nonce - start == len(done) == len(Manifest.load(path).steps)
