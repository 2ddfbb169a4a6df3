"""Keystores from the command line: made once, shown in public only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.commands.secrets import sealing_key
from hk_l2 import keys as accounts
from lianqiao_base.errors import Fatal, Rejected
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.crypto.sm3 import sm3

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text(PASSPHRASE + "\n")
    monkeypatch.setenv("LIANQIAO_PASSPHRASE_FILE", str(path))
    return path


def run(*arguments: str, **options: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="lianqiao", **options)  # type: ignore[arg-type]


def test_new_and_show_agree_and_show_no_secret(tmp_path: Path, secret: Path) -> None:
    store = tmp_path / "m.keystore"
    made = run("keys", "new", "ops.a", "--keystore", str(store), "--json")
    assert made.exit_code == 0, made.output
    run("keys", "new", "dev-1", "--keystore", str(store))
    row = json.loads(made.output)[0]
    opened = Keystore.open(store, PASSPHRASE)
    assert opened.names() == ("dev-1", "ops.a")
    key = opened.private_key("ops.a")
    assert row == {
        "name": "ops.a",
        "kind": "sm2",
        "public_key": key.public_key.hex(),
        "fingerprint_sm3": sm3(key.public_key).hex(),
    }
    shown = run("keys", "show", "--keystore", str(store), "--json")
    assert [r["name"] for r in json.loads(shown.output)] == ["dev-1", "ops.a"]
    assert json.loads(run("keys", "show", "ops.a", "--keystore", str(store), "--json").output) == [row]
    plain = run("keys", "show", "--keystore", str(store)).output
    assert key.public_key.hex() in plain
    for output in (made.output, shown.output, plain):
        assert key.to_bytes().hex() not in output
        assert PASSPHRASE not in output
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_new_never_overwrites(tmp_path: Path, secret: Path) -> None:
    store = tmp_path / "m.keystore"
    assert run("keys", "new", "a", "--keystore", str(store)).exit_code == 0
    before = store.read_bytes()
    again = run("keys", "new", "a", "--keystore", str(store))
    assert again.exit_code == 1
    assert "KEY_EXISTS" in again.stderr
    assert store.read_bytes() == before


def test_evm_account(tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "relayer.json"
    made = run("keys", "new", "--kind", "evm", "--keystore", str(path), "--json")
    address = json.loads(made.output)[0]["address"]
    account = accounts.load(path, PASSPHRASE)
    assert account.address == address
    assert bytes(account.key).hex() not in made.output
    assert json.loads(run("keys", "show", "--keystore", str(path), "--json").output)[0]["address"] == address
    before = path.read_bytes()
    again = run("keys", "new", "--kind", "evm", "--keystore", str(path))
    assert again.exit_code == 1
    assert "KEYSTORE_EXISTS" in again.stderr
    assert path.read_bytes() == before
    assert run("keys", "new", "x", "--kind", "evm", "--keystore", str(tmp_path / "y")).exit_code == 2


def test_wrong_passphrase(tmp_path: Path, secret: Path) -> None:
    store = tmp_path / "m.keystore"
    run("keys", "new", "a", "--keystore", str(store))
    secret.write_text("another\n")
    result = run("keys", "show", "--keystore", str(store))
    assert result.exit_code == 1
    assert "KEYSTORE_PASSPHRASE" in result.stderr


def test_nobody_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIANQIAO_PASSPHRASE_FILE", raising=False)
    result = run("keys", "new", "a", "--keystore", str(tmp_path / "m.keystore"))
    assert result.exit_code == 1
    assert "PASSPHRASE_NEEDED" in result.stderr
    assert "LIANQIAO_PASSPHRASE_FILE" in result.stderr


def test_passphrase_file_that_others_may_read(tmp_path: Path, secret: Path) -> None:
    secret.chmod(0o644)
    result = run("keys", "new", "a", "--keystore", str(tmp_path / "m.keystore"))
    assert result.exit_code == 4
    assert "PASSPHRASE_FILE" in result.stderr
    assert PASSPHRASE not in result.output


def test_passphrase_beside_the_keystore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIANQIAO_PASSPHRASE_FILE", raising=False)
    beside = tmp_path / "passphrase"
    beside.touch(0o600)
    beside.write_text("from the home\n")
    assert run("keys", "new", "a", "--keystore", str(tmp_path / "m.keystore")).exit_code == 0
    assert Keystore.open(tmp_path / "m.keystore", "from the home").names() == ("a",)


def test_sealing_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    key = sealing_key(path)
    assert len(key) == 16
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealing_key(path) == key
    path.write_text("12\n")
    with pytest.raises(Rejected, match="16 bytes"):
        sealing_key(path)
    path.chmod(0o644)
    with pytest.raises(Fatal):
        sealing_key(path)
