"""The command line as a user runs it: processes, exit codes, files. One ledger of its own; one demo, audited and traced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hk_l2 import keys as accounts
from hk_l2.evm import connect
from lianqiao_base.errors import LianqiaoError

ROOT = Path(__file__).parents[2]
ANVIL = shutil.which("anvil") or shutil.which("anvil", path=str(ROOT / "node_modules/.bin"))
FUNDS_WEI = 10**19

pytestmark = pytest.mark.slow

PHONE = "13800138006"
ASSET = {
    "type": "asset",
    "asset_id": "pv-1",
    "plant_name": "Roof 1",
    "capacity_w": 6000,
    "division_code": "440305",
    "commissioning_date": "2024-05-01",
    "legal_owner": "Sunfield",
    "unit_count": 1000,
    "sealed": {"contact_name": "A", "contact_phone": PHONE, "contact_id_number": "110105194912310026"},
}
DEVICE = {
    "type": "device",
    "device_id": "dev-1",
    "asset_id": "pv-1",
    "manufacturer": "M",
    "model": "X",
    "serial": "1",
    "rated_power_w": 6000,
    "interval_ms": 900_000,
    "signing_mode": "batch",
}
READING = {"sequence": 1, "time_ms": 1_735_689_600_000, "energy_wh": 250, "power_w": 1000, "irradiance_w_m2": 300}
TELEMETRY = {"type": "telemetry", "device_id": "dev-1", "signing_mode": "batch", "readings": [READING]}

COMMAND = (sys.executable, "-m", "bridge.cli")


def environment() -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("LIANQIAO_")},
        "CI": "1",
        "PYTHONPATH": str(ROOT),
    }


def lianqiao(*arguments: str | Path, expect: int = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Server:
    process: subprocess.Popen[str]
    first_line: str

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def serve(*arguments: str | Path) -> Server:
    """A server command, after it printed its first line."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the server ended before it served"
    return Server(process, line)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A development ledger, served by the command line."""
    folder = tmp_path_factory.mktemp("cli") / "ledger"
    lianqiao("ledger", "init", folder, "--listen", f"127.0.0.1:{free_port()}")
    server = serve("ledger", "serve", "--home", folder)
    assert server.first_line.startswith("ledger serves 127.0.0.1:")
    try:
        yield folder
    finally:
        assert server.stop() == 0


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_a_ledger_from_the_command_line(home: Path, tmp_path: Path) -> None:
    status = json.loads(lianqiao("ledger", "status", "--home", home, "--json").stdout)
    assert (status["height"], status["quorum"], len(status["validators"])) == (0, 3, 4)
    lianqiao("keys", "new", "dev-1", "--keystore", home / "members.keystore")
    assert "KEY_EXISTS" in lianqiao("keys", "new", "dev-1", "--keystore", home / "members.keystore", expect=1).stderr

    asset, device = write(tmp_path, "asset.json", ASSET), write(tmp_path, "device.json", DEVICE)
    assert "SEALING_KEY" in lianqiao("ledger", "submit", asset, "--home", home, expect=1).stderr
    sealing = tmp_path / "sealing.key"
    sent = lianqiao("ledger", "submit", asset, "--home", home, "--sealing-key", sealing)
    assert sealing.read_text().strip() not in sent.stdout + sent.stderr
    lianqiao("ledger", "submit", device, "--home", home)
    telemetry = write(tmp_path, "telemetry.json", TELEMETRY)
    signed = tmp_path / "signed.bin"
    lianqiao("ledger", "submit", telemetry, "--home", home, "--sign-only", signed)
    outcome = json.loads(lianqiao("ledger", "submit", signed, "--home", home, "--json").stdout)
    assert (outcome["code"], outcome["certified"]) == ("OK", True)
    again = json.loads(lianqiao("ledger", "submit", signed, "--home", home, "--json").stdout)
    assert again == outcome, "the same transaction gives its first outcome"
    refused = lianqiao("ledger", "submit", telemetry, "--home", home, expect=1)
    assert refused.stderr.startswith("error: SEQUENCE_NOT_INCREASING: ")
    assert PHONE.encode() not in b"".join(p.read_bytes() for p in home.glob("ledger.sqlite3*"))

    proof = lianqiao("ledger", "proof", "--home", home, "--transaction", outcome["transaction"])
    assert proof.stderr.startswith("verified: ")
    document = json.loads(proof.stdout)
    assert document["record_root"] == outcome["record_root"]
    assert document["checkpoint"]["height"] == outcome["height"]
    assert "CLAIM_NOT_FOUND" in lianqiao("ledger", "proof", "--home", home, "--claim", "0", expect=1).stderr
    assert "transactions" in lianqiao("ledger", "status", "--home", home, "--member", "ops.regulator").stdout


def test_proof_against_another_genesis_is_refused(home: Path, tmp_path: Path) -> None:
    lianqiao("ledger", "init", tmp_path / "other")
    other = tmp_path / "other" / "genesis.json"
    asset = write(tmp_path, "asset.json", {**ASSET, "asset_id": "pv-2", "sealed": {}})
    outcome = json.loads(lianqiao("ledger", "submit", asset, "--home", home, "--json").stdout)
    refused = lianqiao(
        "ledger", "proof", "--home", home, "--transaction", outcome["transaction"], "--genesis", other, expect=1
    )
    assert refused.stdout == "", "what does not verify is not printed"
    assert "WRONG_CHAIN" in refused.stderr


def test_a_ledger_that_is_away_is_worth_another_try(tmp_path: Path) -> None:
    lianqiao("ledger", "init", tmp_path / "away", "--listen", f"127.0.0.1:{free_port()}")
    done = lianqiao("ledger", "status", "--home", tmp_path / "away", "--timeout", "0.5", expect=3)
    assert done.stderr.startswith("error: UNAVAILABLE")


@dataclass
class Demo:
    output: Path
    text: str
    work: Path


def run_demo(folder: Path, *options: str) -> Demo:
    output = folder / "out"
    text = lianqiao("demo", "--output", output, "--keep", *options, timeout=240).stdout
    kept = next(line for line in text.splitlines() if line.startswith("Working folder kept: "))
    return Demo(output, text, Path(kept.removeprefix("Working folder kept: ")))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    made = run_demo(tmp_path_factory.mktemp("demo"))
    try:
        yield made
    finally:
        shutil.rmtree(made.work)


def test_demo_says_what_happened(demo: Demo) -> None:
    for words in ("Anchored", "Crossed the border", "Minted", "refused", "Gas", "Time", "lianqiao verify"):
        assert words in demo.text
    assert sorted(p.name for p in demo.output.iterdir()) == ["bundle.json", "demo.log", "report.html"]
    assert "ledger is serving" in (demo.output / "demo.log").read_text()


def test_demo_bundle_verifies(demo: Demo) -> None:
    bundle = demo.output / "bundle.json"
    done = lianqiao("verify", bundle)
    assert " 1. ok " in done.stdout
    assert "FAILED" not in done.stdout
    raw = json.loads(lianqiao("verify", bundle, "--json").stdout)
    assert raw["ok"]
    assert not raw["complete"], "finality is not shown by the bundle alone"
    chain_id = next(c["detail"].split()[1] for c in raw["checks"] if c["number"] == 2).rstrip(":")
    assert next(c for c in raw["checks"] if c["number"] == 2)["ok"] is None
    trusted = json.loads(lianqiao("verify", bundle, "--json", "--genesis-hash", chain_id).stdout)
    assert next(c for c in trusted["checks"] if c["number"] == 2)["ok"] is True


def test_a_changed_byte_fails_and_is_named(demo: Demo, tmp_path: Path) -> None:
    data = (demo.output / "bundle.json").read_bytes()
    place = data.index(b'"units":') + len(b'"units":')
    place += data[place : place + 1] == b'"'
    digit = b"2" if data[place : place + 1] != b"2" else b"3"
    changed = tmp_path / "changed.json"
    changed.write_bytes(data[:place] + digit + data[place + 1 :])
    done = lianqiao("verify", changed, expect=1)
    assert "FAILED" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("The bundle does not hold: check ")
    wrong = lianqiao("verify", demo.output / "bundle.json", "--genesis-hash", "00" * 32, expect=1)
    assert "not of the one you trust" in wrong.stdout


def test_orders_of_the_demo_are_traced_offline(demo: Demo) -> None:
    order = next(line.split()[1].rstrip("…") for line in demo.text.splitlines() if line.startswith("  order "))
    traced = json.loads(
        lianqiao("trace", order, "--store", demo.work / "hongkong" / "delivery.sqlite3", "--json").stdout
    )
    assert (traced["kind"], traced["state"]) == ("order", "final")
    assert [s["state"] for s in traced["steps"]][-1] == "final"
    assert "nothing: it is done" in lianqiao("trace", order, "--store", demo.work / "hongkong/delivery.sqlite3").stdout


def test_demo_cannot_write_where_it_may_not(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    done = lianqiao("demo", "--output", blocked / "out", expect=4)
    assert done.stderr.startswith("error: OUTPUT_FOLDER")


@pytest.fixture
def anvil() -> Iterator[str]:
    assert ANVIL is not None
    port = free_port()
    process = subprocess.Popen([ANVIL, "--port", str(port), "--silent"], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                connect(url).chain_id()
                break
            except LianqiaoError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.anvil
@pytest.mark.skipif(ANVIL is None, reason="anvil is not installed (npm @foundry-rs/anvil)")
def test_deploy_and_serve_on_a_node(anvil: str, tmp_path: Path) -> None:
    lianqiao("ledger", "init", tmp_path / "ledger")
    hong_kong = tmp_path / "hk"
    listen = f"127.0.0.1:{free_port()}"
    made = lianqiao(
        "deliver",
        "init",
        hong_kong,
        "--ledger-home",
        tmp_path / "ledger",
        "--l2-url",
        anvil,
        "--listen",
        listen,
        "--json",
    )
    addresses = json.loads(made.stdout)["accounts"]
    config = hong_kong / "deploy.toml"
    poor = lianqiao("l2", "deploy", "--config", config, expect=1)
    assert "INSUFFICIENT_FUNDS" in poor.stderr
    assert addresses["deployer"] in poor.stderr
    web3 = connect(anvil).web3
    for name in ("deployer", "relayer"):
        web3.eth.send_transaction({"from": web3.eth.accounts[0], "to": addresses[name], "value": FUNDS_WEI})
    first = json.loads(lianqiao("l2", "deploy", "--config", config, "--json").stdout)
    again = json.loads(lianqiao("l2", "deploy", "--config", config, "--json").stdout)
    assert first["steps_done"] > 20
    assert (again["steps_done"], again["mint_controller"]) == (0, first["mint_controller"])
    status = json.loads(lianqiao("l2", "status", "--config", config, "--json").stdout)
    assert (status["frozen"], status["paused"], status["solvent"], status["locks"]) == (False, False, True, [])
    assert status["ledger_chain_id"] == json.loads(made.stdout)["ledger_chain_id"]
    server = serve("deliver", "serve", "--config", hong_kong / "delivery.toml")
    try:
        unknown = lianqiao("trace", "abcdef01", "--target", listen, "--tls-folder", hong_kong / "tls", expect=1)
        assert "ITEM_UNKNOWN" in unknown.stderr
    finally:
        assert server.stop() == 0
    offline = lianqiao("trace", "abcdef01", "--config", hong_kong / "delivery.toml", expect=1)
    assert "ITEM_UNKNOWN" in offline.stderr
    assert accounts.load(hong_kong / "relayer.json", (hong_kong / "passphrase").read_text().strip()).address


@pytest.mark.anvil
@pytest.mark.skipif(ANVIL is None, reason="anvil is not installed (npm @foundry-rs/anvil)")
def test_demo_on_a_node_is_solvent(anvil: str, tmp_path: Path) -> None:
    made = run_demo(tmp_path, "--l2-url", anvil)
    try:
        manifest = made.work / "hongkong" / "deployment.json"
        done = lianqiao("l2", "status", "--manifest", manifest, "--l2-url", anvil, "--json")
        status = json.loads(done.stdout)
        assert status["solvent"]
        (lock,), (token,) = status["locks"], status["supply"]
        assert lock["units"] == lock["minted"] + lock["mintable"]
        assert token["supply"] == lock["minted"] > 0
        assert token["registered"]
        online = lianqiao("verify", made.output / "bundle.json", "--l2-url", anvil)
        assert "FAILED" not in online.stdout
    finally:
        shutil.rmtree(made.work)
