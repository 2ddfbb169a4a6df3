"""The deploy configuration: one TOML file that says which contracts follow which ledger, under whose keys."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hk_l2 import network
from hk_l2.deploy import CommitteeMember, DeployConfig, Roles, TokenConfig
from hk_l2.network import NetworkProfile
from lianqiao_base.errors import Rejected
from mainland_chain.light.genesis import Genesis

_Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
_Hex32 = Annotated[str, Field(pattern=r"^(0x)?[0-9a-fA-F]{64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSection(_Section):
    """The L2."""

    profile: str
    chain_id: int | None = None
    url: str


class DeployerSection(_Section):
    """The account that pays."""

    keystore: Path


class ComplianceSection(_Section):
    """Who signs clearances, and how many must."""

    signers: Annotated[tuple[_Address, ...], Field(min_length=1)]
    threshold: Annotated[int, Field(ge=1)]


class RolesSection(_Section):
    """Who holds what."""

    admin: _Address
    guardian: _Address
    resumer: _Address
    asset_admin: _Address
    compliance_admin: _Address
    credential_issuer: _Address
    credential_revoker: _Address
    feed_admin: _Address
    token_pauser: _Address
    token_freezer: _Address
    token_enforcer: _Address
    token_rules: _Address


class TokenSection(_Section):
    """A token over one asset."""

    asset_ref: _Hex32
    name: Annotated[str, Field(min_length=1)]
    symbol: Annotated[str, Field(min_length=1)]
    min_investor_class: Annotated[int, Field(ge=0)] = 0
    max_holding: Annotated[int, Field(ge=0)] = 0

    def config(self) -> TokenConfig:
        return TokenConfig(
            bytes.fromhex(self.asset_ref.removeprefix("0x")),
            self.name,
            self.symbol,
            self.min_investor_class,
            self.max_holding,
        )


class DeployFile(_Section):
    """The whole file."""

    genesis: Path
    manifest: Path
    telemetry_max_age_s: Annotated[int, Field(gt=0)]
    network: NetworkSection
    deployer: DeployerSection
    compliance: ComplianceSection
    roles: RolesSection
    tokens: tuple[TokenSection, ...] = ()

    @classmethod
    def load(cls, path: Path) -> DeployFile:
        """Read and check. Raises `Rejected("CONFIG_INVALID")` that names every wrong setting, never its value."""
        try:
            document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
            found = cls.model_validate(document)
        except OSError as error:
            raise Rejected("CONFIG_INVALID", error.strerror or "cannot be read", subject=str(path)) from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise Rejected("CONFIG_INVALID", problems, subject=str(path), hint="correct these settings") from None
        except ValueError as error:
            raise Rejected("CONFIG_INVALID", f"not TOML: {error}", subject=str(path)) from error
        base = path.parent
        if found.compliance.threshold > len(set(found.compliance.signers)):
            raise Rejected("CONFIG_INVALID", "compliance: fewer signers than the threshold", subject=str(path))
        return found.model_copy(
            update={
                "genesis": base / found.genesis,
                "manifest": base / found.manifest,
                "deployer": DeployerSection(keystore=base / found.deployer.keystore),
            }
        )

    def profile(self) -> NetworkProfile:
        """Raises `Rejected("NO_EMBEDDED_DEPLOYMENT")` for an EVM that is gone when the command ends."""
        profile = network.load(self.network.profile, chain_id=self.network.chain_id)
        if profile.kind == "embedded":
            raise Rejected(
                "NO_EMBEDDED_DEPLOYMENT",
                "the embedded EVM ends with the command",
                subject=self.network.profile,
                hint="start anvil and use the profile anvil, or run `lianqiao demo`",
            )
        return profile

    def deploy_config(self, genesis: Genesis) -> DeployConfig:
        """What the deployment depends on; the light client starts from the genesis' validators."""
        validators = genesis.validator_set()
        return DeployConfig(
            ledger_chain_id=genesis.chain_id,
            epoch=validators.epoch,
            committee=tuple(
                CommitteeMember(
                    m.org_id, int.from_bytes(m.public_key[:32], "big"), int.from_bytes(m.public_key[32:], "big")
                )
                for m in validators.members
            ),
            roles=Roles(**self.roles.model_dump()),
            compliance_signers=self.compliance.signers,
            clearance_threshold=self.compliance.threshold,
            telemetry_max_age_s=self.telemetry_max_age_s,
        )
