"""Keystore files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hk_l2 import keys
from lianqiao_base.errors import NotFound, Rejected


def test_round_trip_with_mode_0600(tmp_path: Path) -> None:
    account, path = keys.generate(), tmp_path / "key.json"
    keys.save(path, account, "passphrase", iterations=2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert account.key.hex() not in path.read_text(encoding="utf-8")
    assert keys.load(path, "passphrase").address == account.address


def test_refusals_tell_no_secret(tmp_path: Path) -> None:
    account, path = keys.generate(), tmp_path / "key.json"
    keys.save(path, account, "passphrase", iterations=2)
    with pytest.raises(FileExistsError):
        keys.save(path, keys.generate(), "passphrase", iterations=2)
    with pytest.raises(Rejected) as caught:
        keys.load(path, "wrong")
    assert "wrong" not in caught.value.message.replace("wrong passphrase", "")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(Rejected):
        keys.load(path, "passphrase")
    path.write_bytes(b"\xff")
    with pytest.raises(Rejected):
        keys.load(path, "passphrase")
    with pytest.raises(NotFound):
        keys.load(tmp_path / "none.json", "passphrase")
