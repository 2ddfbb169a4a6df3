"""Deploys everything, resumable: each step is noted in the manifest before it is sent and when it is mined; a re-run goes on.

Order: key registry, validators' keys, quorum verifier, light client; credentials, feed, controller; roles; at the end the deployer
hands its administrator roles over and keeps none. Tokens are added per asset with `deploy_token`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from hk_l2 import artifacts
from hk_l2.abi_codec import contract_abi
from hk_l2.bindings.contract import DEFAULT_ADMIN_ROLE, Contract, role
from hk_l2.bindings.light_client import SM2KeyRegistry
from hk_l2.bindings.telemetry_feed import TelemetryFeed
from hk_l2.chain import Call, Receipt
from hk_l2.errors import DeploymentMismatch
from hk_l2.manifest import Deployment, Manifest, Step
from hk_l2.txsender import PreparedTransaction, TxSender
from lianqiao_base.errors import NotFound, Retryable


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """A validator of the genesis set."""

    org_id: bytes
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Roles:
    """Who holds what. Guardian and resumer must differ; the contract insists."""

    admin: str
    guardian: str
    resumer: str
    asset_admin: str
    compliance_admin: str
    credential_issuer: str
    credential_revoker: str
    feed_admin: str
    token_pauser: str
    token_freezer: str
    token_enforcer: str
    token_rules: str


@dataclass(frozen=True, slots=True)
class DeployConfig:
    """Everything a deployment depends on."""

    ledger_chain_id: bytes
    epoch: int
    committee: tuple[CommitteeMember, ...]
    """By strictly increasing organisation id."""
    roles: Roles
    compliance_signers: tuple[str, ...]
    clearance_threshold: int
    telemetry_max_age_s: int

    def digest(self) -> str:
        """Identifies the configuration in the manifest."""
        return keccak(text=repr(asdict(self))).hex()


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """A token over one asset, with its offering rules."""

    asset_ref: bytes
    name: str
    symbol: str
    min_investor_class: int = 0
    """Least investor class that may receive; 0 for any."""
    max_holding: int = 0
    """Largest balance of a holder; 0 for no limit."""


class Deployer:
    """Runs steps of one key against one manifest file."""

    def __init__(
        self,
        sender: TxSender,
        config: DeployConfig,
        path: Path,
        *,
        progress: Callable[[Step], None] | None = None,
        wait_s: float = 120,
        poll_s: float = 0.2,
    ) -> None:
        self._sender = sender
        self._client = sender.client
        self._config = config
        self._path = path
        self._progress = progress
        self._wait_s = wait_s
        self._poll_s = poll_s
        self._manifest = self._open()

    def run(self) -> Deployment:
        """Deploys what is missing. Raises `DeploymentMismatch` when chain and manifest contradict each other."""
        config, roles, own = self._config, self._config.roles, self._sender.address
        registry = self._create("SM2KeyRegistry")
        tables = [self._register_key(registry, member) for member in config.committee]
        light_client = self._create(
            "MainlandLightClient",
            registry,
            self._create("SM2QuorumVerifier"),
            config.ledger_chain_id,
            config.epoch,
            [member.org_id for member in config.committee],
            tables,
        )
        credentials = self._create("CredentialRegistry", own)
        feed = self._create("TelemetryFeed", own, config.telemetry_max_age_s)
        controller = self._create(
            "MintController",
            light_client,
            feed,
            credentials,
            own,
            list(config.compliance_signers),
            config.clearance_threshold,
        )
        self._call("TelemetryFeed.bindController", TelemetryFeed(self._client, feed).bind_controller(controller))
        self._assign(
            "CredentialRegistry",
            credentials,
            CREDENTIAL_ISSUER_ROLE=roles.credential_issuer,
            CREDENTIAL_REVOKER_ROLE=roles.credential_revoker,
        )
        self._assign("TelemetryFeed", feed, FEED_ADMIN_ROLE=roles.feed_admin)
        self._assign(
            "MintController",
            controller,
            GUARDIAN_ROLE=roles.guardian,
            RESUMER_ROLE=roles.resumer,
            ASSET_ADMIN_ROLE=roles.asset_admin,
            COMPLIANCE_ADMIN_ROLE=roles.compliance_admin,
        )
        return Deployment.from_manifest(self._manifest)

    def deploy_token(self, token: TokenConfig) -> str:
        """Deploys rules and token of one asset; returns the token's address.

        The asset administrator registers it with the controller once the asset is proven.
        """
        deployment, roles, own = Deployment.from_manifest(self._manifest), self._config.roles, self._sender.address
        suffix = token.asset_ref.hex()
        rules = self._create("TransferCompliance", deployment.credential_registry, own, name=f"rules:{suffix}")
        address = self._create(
            "RWAToken",
            token.name,
            token.symbol,
            token.asset_ref,
            deployment.mint_controller,
            deployment.credential_registry,
            rules,
            own,
            name=f"token:{suffix}",
        )
        self._assign(
            "RWAToken",
            address,
            step=f"token:{suffix}",
            PAUSER_ROLE=roles.token_pauser,
            FREEZER_ROLE=roles.token_freezer,
            ENFORCER_ROLE=roles.token_enforcer,
        )
        if token.min_investor_class or token.max_holding:
            contract = _contract("TransferCompliance", self._client, rules)
            self._call(f"rules:{suffix}.grantRole(deployer)", contract.grant_role(role("RULES_ROLE"), own))
            data = contract.abi.encode_call("setRules", (token.min_investor_class, token.max_holding))
            self._call(f"rules:{suffix}.setRules", Call(rules, data, "TransferCompliance.setRules"))
            if roles.token_rules != own:
                self._call(f"rules:{suffix}.renounceRole(deployer)", contract.renounce_role(role("RULES_ROLE"), own))
        self._assign("TransferCompliance", rules, step=f"rules:{suffix}", RULES_ROLE=roles.token_rules)
        return address

    # ------------------------------------------------------------------------------------------------ steps

    def _open(self) -> Manifest:
        chain_id = self._client.chain_id()
        try:
            manifest = Manifest.load(self._path)
        except NotFound:
            return Manifest(chain_id, self._config.digest())
        if (manifest.chain_id, manifest.config_hash) != (chain_id, self._config.digest()):
            raise DeploymentMismatch(
                "OTHER_DEPLOYMENT",
                "the manifest is of another chain or configuration",
                subject=str(self._path),
                hint="choose another manifest file, or the configuration it was made with",
            )
        for step in manifest.steps.values():
            if step.code_hash and keccak(self._client.code(step.address)).hex() != step.code_hash:
                raise DeploymentMismatch(
                    "CODE_DIFFERS", f"no such code at {step.address}", subject=step.name, hint="was the chain reset?"
                )
        return manifest

    def _create(self, artifact_name: str, *arguments: Any, name: str = "") -> str:
        artifact = artifacts.load(artifact_name)
        data = artifact.bytecode
        if arguments:
            data += contract_abi(artifact_name).encode_constructor(arguments)
        return self._step(name or artifact_name, Call(None, data, f"deploy {artifact_name}")).address

    def _register_key(self, registry: str, member: CommitteeMember) -> str:
        binding = SM2KeyRegistry(self._client, registry)
        self._call(f"SM2KeyRegistry.register({member.org_id.hex()})", binding.register(member.x, member.y))
        table = binding.table_of(member.x, member.y)
        if table is None:
            raise DeploymentMismatch("KEY_NOT_REGISTERED", "the registry has no table", subject=member.org_id.hex())
        return table

    def _assign(self, artifact_name: str, address: str, *, step: str = "", **holders: str) -> None:
        """Grants the roles, makes the configured account administrator and, last, gives up the deployer's own right."""
        contract = _contract(artifact_name, self._client, address)
        label, admin, own = step or artifact_name, self._config.roles.admin, self._sender.address
        for role_name, holder in holders.items():
            self._call(f"{label}.grantRole({role_name})", contract.grant_role(role(role_name), holder))
        if admin != own:
            self._call(f"{label}.grantRole(admin)", contract.grant_role(DEFAULT_ADMIN_ROLE, admin))
            self._call(f"{label}.renounceRole(admin)", contract.renounce_role(DEFAULT_ADMIN_ROLE, own))

    def _call(self, name: str, call: Call) -> None:
        self._step(name, call)

    def _step(self, name: str, call: Call) -> Step:
        done = self._manifest.steps.get(name)
        if done is not None:
            return done
        prepared = self._pending(name) or self._sender.prepare(call)
        self._manifest.pending = {"name": name, "transaction": prepared.to_document()}
        self._manifest.save(self._path)
        self._sender.broadcast(prepared)
        receipt = self._wait(prepared)
        if not receipt.succeeded:
            self._manifest.pending = None
            self._manifest.save(self._path)
            raise self._sender.failure(prepared, receipt)
        step = Step(
            name=name,
            address=receipt.contract_address or str(call.to),
            tx_hash=prepared.tx_hash.hex(),
            block_number=receipt.block_number,
            gas_used=receipt.gas_used,
        )
        if receipt.contract_address is not None:
            step = replace(step, code_hash=keccak(self._client.code(step.address)).hex())
        self._manifest.steps[name] = step
        self._manifest.pending = None
        self._manifest.save(self._path)
        if self._progress is not None:
            self._progress(step)
        return step

    def _pending(self, name: str) -> PreparedTransaction | None:
        """The transaction that an interrupted run signed for this step."""
        pending = self._manifest.pending
        if pending is None:
            return None
        if pending["name"] != name:
            raise DeploymentMismatch("UNEXPECTED_PENDING", f"step {pending['name']} is unfinished", subject=name)
        prepared = PreparedTransaction.from_document(pending["transaction"])
        if prepared.sender != self._sender.address:
            raise DeploymentMismatch("OTHER_DEPLOYER", f"the run was started by {prepared.sender}", subject=name)
        self._sender.restore([prepared])
        return prepared

    def _wait(self, prepared: PreparedTransaction) -> Receipt:
        deadline = time.monotonic() + self._wait_s
        while True:
            receipt = self._sender.receipt(prepared.tx_hash)
            if receipt is not None:
                return receipt
            if time.monotonic() > deadline:
                raise Retryable(
                    "NOT_MINED",
                    f"not mined within {self._wait_s:.0f} s",
                    subject="0x" + prepared.tx_hash.hex(),
                    hint="run deploy again; it goes on from here",
                )
            time.sleep(self._poll_s)


def _contract(artifact_name: str, client: Any, address: str) -> Contract:
    bound = type(artifact_name, (Contract,), {"artifact": artifact_name})
    contract: Contract = bound(client, address)
    return contract
