"""Configuration, development home, logs, and the process's own life."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
from pathlib import Path

import pytest

from lianqiao_base import logs
from lianqiao_base.errors import AlreadyExists, Fatal, LianqiaoError, NotFound
from lianqiao_base.passphrase import PASSPHRASE_FILE_VARIABLE, read_passphrase
from mainland_chain.app import LedgerNode, clock_ms, run, serve
from mainland_chain.config import LedgerConfig
from mainland_chain.crypto.keystore import Keystore
from mainland_chain.home import DEVELOPMENT_FOUNDERS, LedgerHome, init


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> LedgerHome:
    return init(tmp_path_factory.mktemp("home") / "ledger", now_ms=clock_ms(), listen="127.0.0.1:0")


def test_a_new_home_is_whole_and_private(home: LedgerHome) -> None:
    genesis = home.genesis()
    assert len(genesis.validators) == 4
    assert {m.member_id for m in genesis.members} == {f.member_id for f in DEVELOPMENT_FOUNDERS}
    for path in home.folder.rglob("*"):
        secret = path.suffix in (".key", ".keystore") or path.name == "passphrase"
        if path.is_file() and secret:
            assert path.stat().st_mode & 0o077 == 0, path
    passphrase = home.passphrase()
    for path in home.folder.rglob("*"):
        if path.is_file() and path.name != "passphrase":
            assert passphrase.encode() not in path.read_bytes(), path
    assert set(Keystore.open(home.validator_keystore, passphrase).names()) == {
        f"validator.{v.organisation_id}" for v in genesis.validators
    }
    assert home.member_key("ops.originator").public_key in [m.public_key for m in genesis.members]


def test_a_home_is_never_overwritten(home: LedgerHome) -> None:
    with pytest.raises(AlreadyExists):
        init(home.folder, now_ms=clock_ms())


def test_an_unknown_member_has_no_certificate(home: LedgerHome) -> None:
    with pytest.raises(NotFound):
        home.member_tls("nobody")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("interval_ms = 200", "interval_ms = 1"), "blocks.interval_ms"),
        (('genesis = "genesis.json"', 'genisis = "genesis.json"'), "genisis"),
        (('path = "ledger.sqlite3"', 'path = "a"\nurl = "postgresql://x"'), "either path or url"),
        (('path = "ledger.sqlite3"', ""), "either path or url"),
        (("[store]", "[store"), "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(home: LedgerHome, tmp_path: Path, change: tuple[str, str], named: str) -> None:
    text = home.config_path.read_text()
    assert change[0] in text
    path = tmp_path / "config.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(Fatal) as caught:
        LedgerConfig.load(path)
    assert caught.value.code == "CONFIG" and named in caught.value.message


def test_the_passphrase_file_can_come_from_the_environment(
    home: LedgerHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(tmp_path / "elsewhere"))
    assert home.config().keys.passphrase_file == tmp_path / "elsewhere"


def test_a_passphrase_file_must_be_private_and_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    with pytest.raises(Fatal):
        read_passphrase(path)
    path.write_text("word\n")
    path.chmod(0o644)
    with pytest.raises(Fatal):
        read_passphrase(path)
    path.chmod(0o600)
    assert read_passphrase(path) == "word"
    path.write_text("\n")
    with pytest.raises(Fatal):
        read_passphrase(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_ends_orderly_on_a_signal(home: LedgerHome, number: signal.Signals) -> None:
    seen: list[LedgerNode] = []

    def ready(node: LedgerNode) -> None:
        seen.append(node)
        os.kill(os.getpid(), number)

    handlers = logging.getLogger().handlers[:]
    try:
        async with asyncio.timeout(20):
            await serve(home.config_path, ready=ready)
    finally:
        logging.getLogger().handlers[:] = handlers
    assert seen[0].engine.failure is None


async def test_a_failed_engine_ends_the_process_with_its_reason(
    home: LedgerHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = LedgerNode.build(home.config())

    def broken(*_: object) -> None:
        raise Fatal("DISK_GONE", "nothing can be written")

    monkeypatch.setattr(node.application, "prepare", broken)
    from mainland_chain.engines.protocol import Stage
    from mainland_chain.transaction_builder import TransactionBuilder

    key = home.member_key("ops.originator")
    builder = TransactionBuilder(node.application.chain_id, "ops.originator", key, clock_ms)
    raw = builder.register_asset(
        asset_id="plant-1",
        plant_name="P",
        capacity_w=1,
        division_code="630121",
        commissioning_date="2024-05-01",
        legal_owner="O",
        unit_count=1,
    ).raw
    calls = []

    def ready(_: LedgerNode) -> None:
        calls.append(asyncio.create_task(node.engine.submit(raw, Stage.COMMITTED)))

    with pytest.raises(Fatal) as caught:
        await run(node, ready=ready)
    assert caught.value.code == "DISK_GONE"
    (answer,) = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answer, LianqiaoError) and answer.code == "ENGINE_FAILED"


@pytest.mark.parametrize("form", ["json", "text"])
def test_logs_are_one_line_and_withhold_secrets(form: str) -> None:
    stream = io.StringIO()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure("INFO", form, stream)  # type: ignore[arg-type]
        logging.getLogger("x").info(
            "two\nlines", extra={"height": 7, "digest": b"\x01\xff", "passphrase": "open sesame", "record_seed": b"s3"}
        )
        logging.getLogger("x").debug("quiet")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    text = stream.getvalue()
    assert text.count("\n") == 1 and "quiet" not in text
    assert "sesame" not in text and b"s3".hex() not in text and logs.WITHHELD in text
    assert "01ff" in text
    if form == "json":
        event = json.loads(text)
        assert (event["event"], event["height"], event["level"]) == ("two\nlines", 7, "INFO")
