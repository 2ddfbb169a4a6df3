"""Shared fixtures of contract tests: a bare EVM, and anvil for whole transactions."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from evm_harness import Evm
from web3 import HTTPProvider, Web3

ROOT = Path(__file__).resolve().parents[2]
ANVIL = ROOT / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"


@pytest.fixture
def evm() -> Evm:
    """A fresh EVM."""
    return Evm()


@pytest.fixture(scope="session")
def anvil() -> Iterator[Web3]:
    """Anvil with its default hardfork; every transaction is a block of its own."""
    if not ANVIL.is_file():
        pytest.skip(f"anvil is not installed: run `npm ci` in {ROOT}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([str(ANVIL), "--port", str(port), "--silent"], stdout=subprocess.DEVNULL)
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}", request_kwargs={"timeout": 60}))
    try:
        deadline = time.monotonic() + 20
        while not web3.is_connected():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail("anvil did not start")
            time.sleep(0.05)
        web3.eth.default_account = web3.eth.accounts[0]
        yield web3
    finally:
        process.terminate()
        process.wait(10)
