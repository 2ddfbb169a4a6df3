"""Tracing a delivery store with nothing running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.delivery import machine as m
from bridge.delivery.store import DeliveryStore

FIRST, SECOND = bytes.fromhex("abcdef01" + "11" * 28), bytes.fromhex("abcdef01" + "22" * 28)
TIME_MS = 1_735_689_600_000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "delivery.sqlite3"
    opened = DeliveryStore(f"sqlite:///{path}")
    held = m.Held("NEEDS_INFO", "HK-TR-FULL (NEEDS_INFO)", "the issuer")
    opened.insert(m.Item(FIRST, m.Kind.ORDER), b"", b"", TIME_MS, events=[(held, "needs data\x1b[2J")])
    opened.insert(m.Item(SECOND, m.Kind.PACKET), b"", b"", TIME_MS)
    opened.close()
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["trace", *map(str, arguments)], prog_name="lianqiao")


def test_a_held_order_says_why_who_and_what_next(store: Path) -> None:
    result = run(FIRST.hex(), "--store", store)
    assert result.exit_code == 0, result.output
    for words in ("held", "NEEDS_INFO: HK-TR-FULL", "the issuer has to act", "2025-01-01T00:00:00.000Z"):
        assert words in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("given", [FIRST.hex()[:10], "0x" + FIRST.hex()[:12], FIRST.hex().upper()])
def test_prefixes(store: Path, given: str) -> None:
    document = json.loads(run(given, "--store", f"sqlite:///{store}", "--json").output)
    assert document["id"] == FIRST.hex()
    assert [s["state"] for s in document["steps"]] == ["received", "held"]
    assert document["l2_transaction"] == ""


@pytest.mark.parametrize(("given", "code"), [("abcdef01", "AMBIGUOUS_ID"), ("00" * 4, "ITEM_UNKNOWN")])
def test_what_is_not_one_item(store: Path, given: str, code: str) -> None:
    result = run(given, "--store", store)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {code}")


@pytest.mark.parametrize("url", ["nodriver://x", "sqlite://"])
def test_what_is_no_store(url: str, tmp_path: Path) -> None:
    assert run("abcdef01", "--store", url).exit_code == 1
    file = tmp_path / "text"
    file.write_text("no database at all, but long enough to be looked at as one " * 20)
    result = run("abcdef01", "--store", file)
    assert result.exit_code == 1
    assert "NOT_A_STORE" in result.stderr
