"""A passphrase file must be its owner's alone, wherever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.delivery import app as delivery_app
from lianqiao_base.errors import Fatal
from lianqiao_base.passphrase import read_passphrase


def written(folder: Path, content: bytes, mode: int) -> Path:
    path = folder / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_first_line_of_a_private_file(tmp_path: Path) -> None:
    assert read_passphrase(written(tmp_path, "秘密 words\nnot this\n".encode(), 0o600)) == "秘密 words"


@pytest.mark.parametrize(
    ("content", "mode"),
    [(b"secret\n", 0o640), (b"secret\n", 0o604), (b"", 0o600), (b"\nsecret", 0o600), (b"\xff\xfe", 0o600)],
)
def test_everything_else_is_refused_without_showing_the_secret(tmp_path: Path, content: bytes, mode: int) -> None:
    with pytest.raises(Fatal, match="PASSPHRASE_FILE") as caught:
        read_passphrase(written(tmp_path, content, mode))
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="absent"):
        read_passphrase(tmp_path / "absent")


def test_delivery_reads_its_passphrases_this_way() -> None:
    assert delivery_app.read_passphrase is read_passphrase
