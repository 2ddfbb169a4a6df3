"""Configuration and policy file of the export process: what is wrong is named, what is secret is never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.demo.mainland import DEFAULT_RULES
from bridge.export.config import ExportConfig
from bridge.export.policy_file import decode_policy, encode_policy, load_policy, write_policy
from lianqiao_base.errors import Fatal, Rejected
from mainland_chain import home as ledger_home
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.policy import ExportDestination, ExportPolicy
from mainland_chain.light.claims import destination_id

NOW = 1_790_000_000_000
CONTROLLER = b"\x33" * 20
DESTINATION = destination_id(31337, CONTROLLER)
PSEUDONYM_KEY = b"\x5a" * 32
APPROVAL = f"""
[[approvals]]
reference = "A-1"
claim_kinds = ["AssetClaim"]
destinations = ["{DESTINATION.hex()}"]
valid_from = 2026-01-01T00:00:00+08:00
valid_until = 2027-01-01T00:00:00Z
document_sha256 = "{"01" * 32}"
"""


def policy(gate_key: bytes | None = None) -> ExportPolicy:
    target = ExportDestination(DESTINATION, 31337, CONTROLLER, PSEUDONYM_KEY)
    key = gate_key or PrivateKey.generate().public_key
    return ExportPolicy(1, NOW, NOW + 1, (target,), (key,), DEFAULT_RULES)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["export", *arguments], prog_name="lianqiao")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """`export init` once: the text of export.toml, and the gate's key."""
    folder = tmp_path_factory.mktemp("homes")
    ledger_home.init(folder / "ledger", now_ms=NOW)
    words = ("init", str(folder / "out"), "--ledger-home", str(folder / "ledger"))
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    again = run(*words)
    assert again.exit_code == 1 and "HOME_EXISTS" in again.stderr
    assert (folder / "out/passphrase").stat().st_mode & 0o077 == 0
    document = json.loads(done.stdout)
    return Path(document["config"]).read_text(), bytes.fromhex(document["gate_public_key"])


@pytest.fixture
def config(tmp_path: Path, written: tuple[str, bytes]) -> Path:
    """A complete configuration with a job store of its own."""
    text = "".join(
        f'store_url = "sqlite:///{tmp_path / "exports.sqlite3"}"\n' if line.startswith("store_url") and n < 4 else line
        for n, line in enumerate(written[0].splitlines(keepends=True))
    )
    path = tmp_path / "export.toml"
    path.write_text(text + APPROVAL)
    write_policy(tmp_path / "policy.json", policy(written[1]))
    return path


def test_what_init_writes_is_a_configuration(config: Path) -> None:
    loaded = ExportConfig.load(config)
    assert loaded.policy == config.parent / "policy.json"
    assert loaded.ledger.files().certificate.is_file() and loaded.member.keystore.is_file()
    approval = loaded.register().find("A-1")
    assert approval is not None and approval.destinations == {DESTINATION}
    assert approval.valid_from_ms == 1_767_196_800_000
    assert approval.valid_until_ms == 1_798_761_600_000


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[ledger]", "[ledger]\nsecret = 'x'", "ledger.secret: Extra inputs"),
        ("chain_id = ", "chain_id = 'ab' #", "ledger.chain_id"),
        ("lifetime_s = 600", "lifetime_s = 0", "gate.lifetime_s"),
        ("lifetime_s = 600", "lifetime_s = ", "not TOML"),
        ('policy = "policy.json"', "policy = 7", "policy"),
        ('policy = "policy.json"', "", "policy: Field required"),
        ("[member]", "[nobody]", "member: Field required"),
        ('claim_kinds = ["AssetClaim"]', 'claim_kinds = ["Everything"]', "no kinds of claim: Everything"),
        ("valid_until = 2027", "valid_until = 2025", "ends before it begins"),
        ("00+08:00", "00", "approvals.0.valid_from"),
        (f'["{DESTINATION.hex()}"]', '["beef"]', "approvals.0.destinations.0"),
    ],
)
def test_a_wrong_setting_is_named(config: Path, old: str, new: str, words: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    with pytest.raises(Rejected, match="CONFIG_INVALID") as caught:
        ExportConfig.load(config)
    assert words in caught.value.message


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "absent"):
        with pytest.raises(Rejected, match="CONFIG_INVALID"):
            ExportConfig.load(tmp_path / name)


def test_two_approvals_of_one_reference(config: Path) -> None:
    config.write_text(config.read_text() + APPROVAL)
    with pytest.raises(Rejected, match="EXPORT_APPROVAL_DUPLICATE"):
        ExportConfig.load(config).register()


def test_a_policy_file_is_private_and_the_same_again(tmp_path: Path) -> None:
    path, made = tmp_path / "policy.json", policy()
    write_policy(path, made)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_policy(path) == made == decode_policy(encode_policy(made))
    with pytest.raises(Rejected, match="FILE_EXISTS"):
        write_policy(path, made)
    path.chmod(0o640)
    with pytest.raises(Fatal, match="POLICY_FILE_MODE"):
        load_policy(path)
    with pytest.raises(Rejected, match="POLICY_FILE"):
        load_policy(tmp_path / "absent")


def _changed(change: Callable[[dict[str, object]], object]) -> bytes:
    document = json.loads(encode_policy(policy()))
    change(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b'{"version": 1}',
        encode_policy(policy()) + b" ",
        _changed(lambda d: d.pop("rules")),
        _changed(lambda d: d.update(more=1)),
        _changed(lambda d: d.update(version="1")),
        _changed(lambda d: d.update(version=True)),
        _changed(lambda d: d.update(version=-1)),
        _changed(lambda d: d.update(gate_keys=["zz"])),
        _changed(lambda d: d.update(gate_keys=[])),
        _changed(lambda d: d.update(destinations=None)),
        _changed(lambda d: d.update(effective_to_ms=0)),
        encode_policy(policy()).replace(b'"KEEP"', b'"SHOW"', 1),
        encode_policy(replace(policy(), rules=tuple(reversed(DEFAULT_RULES)))),
    ],
)
def test_what_is_no_policy_is_refused_without_showing_a_key(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode_policy(data)
    assert PSEUDONYM_KEY.hex() not in str(caught.value)


def _request(config: Path, *more: str) -> Result:
    words = ("AssetClaim", "--config", str(config), "--record", "07" * 32, "--filing", "F-1", "--approval", "A-1")
    return run("request", *words, *more)


def test_requests_are_stored_once_and_listed(config: Path) -> None:
    assert "no export was asked for yet" in run("list", "--config", str(config)).stdout
    first = _request(config, "--field", "unit_count", "--field", "capacity_w", "--json")
    assert first.exit_code == 0, first.output
    job = json.loads(first.stdout)
    assert job["state"] == "asked" and job["fields"] == ["capacity_w", "unit_count"]
    assert job["destination"] == DESTINATION.hex() and job["log_index"] is None
    same = _request(config, "--field", "capacity_w", "--field", "unit_count", "--again", "--json")
    assert json.loads(same.stdout) == job
    assert json.loads(run("list", "--config", str(config), "--json").stdout) == [job]
    assert job["job_id"] in run("list", "--config", str(config)).stdout


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--approval", "A-2"), "APPROVAL_UNKNOWN"),
        (("--record", "07" * 32), "RECORD_NAMED_TWICE"),
        (("--destination", "07" * 32), "DESTINATION_NOT_ALLOWED"),
    ],
)
def test_a_request_that_cannot_be_is_not_stored(config: Path, more: tuple[str, ...], code: str) -> None:
    done = _request(config, *more)
    assert done.exit_code == 1 and done.stderr.startswith(f"error: {code}")
    assert json.loads(run("list", "--config", str(config), "--json").stdout) == []


def test_a_gate_that_the_policy_does_not_name_stops_the_start(config: Path) -> None:
    file = config.parent / "policy.json"
    file.unlink()
    write_policy(file, policy())
    # The keys lie in the folder that `init` wrote, not here.
    text = config.read_text()
    home = Path(text.split('store_url = "sqlite:///')[2].split('"')[0]).parent
    text = text.replace('"gate.keystore"', f'"{home / "gate.keystore"}"')
    config.write_text(text.replace('passphrase_file = "passphrase"', f'passphrase_file = "{home / "passphrase"}"'))
    done = run("serve", "--config", str(config))
    assert done.exit_code == 4, done.output
    assert done.stderr.startswith("error: GATE_NOT_IN_POLICY")


def test_an_unusable_store_shows_no_password(config: Path) -> None:
    lines = config.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("store_url"))
    lines[at] = 'store_url = "sqlite:////nowhere/hunter2/all"'
    config.write_text("\n".join(lines))
    done = run("list", "--config", str(config))
    assert done.exit_code == 4 and "STORE_UNAVAILABLE" in done.stderr and "hunter2" not in done.output
