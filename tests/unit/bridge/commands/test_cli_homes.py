"""Homes and configurations that the command line writes: whole, private, loadable, never overwritten."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.commands.deployment import DeployFile
from bridge.commands.solvency import Lock, Snapshot, Token
from bridge.delivery.config import DeliveryConfig
from hk_l2 import keys as accounts
from hk_l2.bindings import LightClientHead, LockInfo
from hk_l2.chain import BlockStamp
from lianqiao_base.errors import Rejected
from mainland_chain.light.genesis import Genesis


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="lianqiao")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A ledger home and a delivery home that fits it."""
    folder = tmp_path_factory.mktemp("homes")
    ledger, hong_kong = folder / "ledger", folder / "hk"
    assert run("ledger", "init", str(ledger)).exit_code == 0
    done = run("deliver", "init", str(hong_kong), "--ledger-home", str(ledger), "--json")
    assert done.exit_code == 0, done.output
    return ledger, hong_kong


def test_ledger_home_is_private_and_not_overwritten(homes: tuple[Path, Path]) -> None:
    ledger, _ = homes
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o700
    again = run("ledger", "init", str(ledger))
    assert again.exit_code == 1
    assert "HOME_EXISTS" in again.stderr


def test_delivery_configuration_loads_and_pins_the_ledger(homes: tuple[Path, Path]) -> None:
    ledger, hong_kong = homes
    config = DeliveryConfig.load(hong_kong / "delivery.toml")
    genesis = Genesis.decode((ledger / "genesis.json").read_bytes())
    assert config.ledger_chain_id == genesis.chain_id.hex()
    assert config.genesis.read_bytes() == genesis.canonical_bytes()
    assert len(config.tls.bridge_clients) == len(config.tls.issuer_clients) == 1
    assert config.tls.bridge_clients != config.tls.issuer_clients
    for path in (config.network.keystore, *config.gate.signer_keystores, config.tls.private_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_deploy_configuration_names_the_accounts_of_the_home(homes: tuple[Path, Path]) -> None:
    ledger, hong_kong = homes
    found = DeployFile.load(hong_kong / "deploy.toml")
    passphrase = (hong_kong / "passphrase").read_text().strip()
    signers = {accounts.load(hong_kong / f"signer-{i}.json", passphrase).address for i in (1, 2)}
    assert set(found.compliance.signers) == signers
    genesis = Genesis.decode((ledger / "genesis.json").read_bytes())
    config = found.deploy_config(genesis)
    assert config.ledger_chain_id == genesis.chain_id
    assert [m.org_id for m in config.committee] == sorted(m.org_id for m in config.committee)
    assert config.roles.guardian != config.roles.resumer


def test_delivery_home_is_not_overwritten(homes: tuple[Path, Path]) -> None:
    ledger, hong_kong = homes
    before = (hong_kong / "delivery.toml").read_bytes()
    again = run("deliver", "init", str(hong_kong), "--ledger-home", str(ledger))
    assert again.exit_code == 1
    assert "HOME_EXISTS" in again.stderr
    assert (hong_kong / "delivery.toml").read_bytes() == before


def test_unknown_profile_writes_nothing(homes: tuple[Path, Path], tmp_path: Path) -> None:
    ledger, _ = homes
    folder = tmp_path / "x"
    result = run("deliver", "init", str(folder), "--ledger-home", str(ledger), "--profile", "nowhere")
    assert result.exit_code == 1
    assert "PROFILE_NOT_FOUND" in result.stderr
    assert not folder.exists()


def edited(hong_kong: Path, target: Path, old: str, new: str) -> Path:
    text = (hong_kong / "deploy.toml").read_text()
    assert old in text
    path = target / "deploy.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("threshold = 2", "threshold = 3", "threshold"),
        ("threshold = 2", "threshold = 0", "threshold"),
        ("telemetry_max_age_s = 259200", "telemetry_max_age_s = 0", "telemetry_max_age_s"),
        ('keystore = "deployer.json"', 'keystroke = "deployer.json"', "keystroke"),
        ("[roles]", "[roles", "not TOML"),
    ],
)
def test_wrong_deploy_configuration_is_named(
    homes: tuple[Path, Path], tmp_path: Path, old: str, new: str, place: str
) -> None:
    with pytest.raises(Rejected) as caught:
        DeployFile.load(edited(homes[1], tmp_path, old, new))
    assert caught.value.code == "CONFIG_INVALID"
    assert place in caught.value.message


def test_embedded_evm_is_no_place_to_deploy(homes: tuple[Path, Path], tmp_path: Path) -> None:
    path = edited(homes[1], tmp_path, 'profile = "anvil"', 'profile = "embedded"')
    result = run("l2", "deploy", "--config", str(path))
    assert result.exit_code == 1
    assert "NO_EMBEDDED_DEPLOYMENT" in result.stderr


def test_node_that_is_away_is_worth_another_try(homes: tuple[Path, Path], tmp_path: Path) -> None:
    text = (homes[1] / "deploy.toml").read_text().replace(":8545", ":1")
    path = homes[1] / "away.toml"
    path.write_text(text)
    result = run("l2", "deploy", "--config", str(path))
    assert result.exit_code == 3
    assert "EVM_UNAVAILABLE" in result.stderr


def test_commented_token_section_is_valid_when_uncommented(homes: tuple[Path, Path]) -> None:
    text = (homes[1] / "deploy.toml").read_text()
    lines = text[text.index("# [[tokens]]") :].splitlines()
    document = tomllib.loads("\n".join(line.removeprefix("# ") for line in lines))
    document["tokens"][0]["asset_ref"] = "ab" * 32
    section = DeployFile.model_fields["tokens"].annotation
    assert section is not None
    whole = {**tomllib.loads(text), **document}
    assert DeployFile.model_validate(whole).tokens[0].config().asset_ref == b"\xab" * 32


def test_profiles_name_their_finality() -> None:
    document = json.loads(run("l2", "profiles", "--json").output)
    assert {"anvil", "embedded", "hashkey"} <= {p["name"] for p in document}
    assert all(p["finality"] for p in document)


def lock(units: int, minted: int, mintable: int, redeemed: int = 0, lapsed: int = 0) -> Lock:
    info = LockInfo(b"", b"\x01" * 32, "0x", units, minted, mintable, redeemed, lapsed, 0, 0)
    return Lock(b"\x02" * 32, info)


def snapshot(locks: list[Lock], tokens: list[Token]) -> Snapshot:
    head = LightClientHead(0, 1, 1, 1)
    return Snapshot(BlockStamp(1, b"", 1), b"", head, False, False, 2, tuple(locks), tuple(tokens))


@pytest.mark.parametrize(
    ("found", "supply", "minted", "solvent"),
    [
        (lock(100, 40, 60), 40, 40, True),
        (lock(100, 40, 30, 20, 10), 40, 40, True),
        (lock(100, 40, 59), 40, 40, False),
        (lock(100, 40, 61), 40, 40, False),
        (lock(100, 40, 60), 41, 40, False),
        (lock(100, 40, 60), 39, 40, False),
    ],
)
def test_solvency(found: Lock, supply: int, minted: int, solvent: bool) -> None:
    assert snapshot([found], [Token(b"\x01" * 32, "0x", True, supply, minted)]).solvent is solvent
