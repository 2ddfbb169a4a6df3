"""Contracts on a bare EVM (revm), for tests: deploy by artifact name, call by function name, errors decoded.

evm = Evm()
token = evm.deploy("RWAToken", ...)
token.balanceOf(holder)                  # call: state changes are undone
token.transact("mint", to, 5, sender=x)  # state changes stay; returns the outputs, leaves gas and logs
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
from eth_abi import decode, encode
from eth_hash.auto import keccak

from hk_l2 import artifacts

DEPLOYER = "0x" + "11" * 20
CALL_GAS = 2**40
_TEST_ARTIFACTS = Path(__file__).with_name("abi")
_OUTPUT = re.compile(r"output: (0x[0-9a-f]*)")


class Reverted(Exception):
    """A call failed. `name` is the custom error (or `Error`, `Panic`, `Halt`, or empty without data)."""

    def __init__(self, name: str, args: tuple[Any, ...], detail: str = "") -> None:
        super().__init__(name, args, detail)
        self.name = name
        self.values = args


@dataclass(frozen=True)
class Event:
    """A decoded event; indexed arguments of dynamic type stay hashes."""

    address: str
    name: str
    values: dict[str, Any]


def load_artifact(name: str) -> artifacts.Artifact:
    """An artifact of the package, or of the test contracts."""
    path = _TEST_ARTIFACTS / f"{name}.json"
    return artifacts.parse(path.read_text(encoding="utf-8")) if path.is_file() else artifacts.load(name)


def abi_type(parameter: dict[str, Any]) -> str:
    """Canonical type of an ABI parameter, tuples spelled out."""
    if not parameter["type"].startswith("tuple"):
        return str(parameter["type"])
    return f"({','.join(map(abi_type, parameter['components']))}){parameter['type'].removeprefix('tuple')}"


def _types(parameters: list[dict[str, Any]]) -> list[str]:
    return [abi_type(parameter) for parameter in parameters]


def _hash(entry: dict[str, Any]) -> bytes:
    return keccak(f"{entry['name']}({','.join(_types(entry['inputs']))})".encode())


_ERRORS: dict[bytes, tuple[str, list[str]]] = {
    keccak(b"Error(string)")[:4]: ("Error", ["string"]),
    keccak(b"Panic(uint256)")[:4]: ("Panic", ["uint256"]),
}
_EVENTS: dict[bytes, dict[str, Any]] = {}


@cache
def _learn(name: str) -> artifacts.Artifact:
    """Remembers the errors and events of an artifact, so that nested contracts' errors decode too."""
    artifact = load_artifact(name)
    for entry in artifact.abi:
        if entry["type"] == "error":
            _ERRORS[_hash(entry)[:4]] = (entry["name"], _types(entry["inputs"]))
        elif entry["type"] == "event":
            _EVENTS[_hash(entry)] = entry
    return artifact


def decode_revert(data: bytes, detail: str = "") -> Reverted:
    """The error that revert data stands for."""
    if data[:4] not in _ERRORS:
        return Reverted("", (), detail or data.hex())
    name, types = _ERRORS[data[:4]]
    return Reverted(name, decode(types, data[4:]), detail)


class Contract:
    """One deployed contract. Attributes are its functions, as calls."""

    def __init__(self, evm: Evm, name: str, address: str) -> None:
        self.evm = evm
        self.name = name
        self.address = address
        self._functions: dict[str, list[dict[str, Any]]] = {}
        for entry in _learn(name).abi:
            if entry["type"] == "function":
                self._functions.setdefault(entry["name"], []).append(entry)

    def _function(self, name: str, count: int) -> dict[str, Any]:
        matching = [entry for entry in self._functions.get(name, []) if len(entry["inputs"]) == count]
        if len(matching) != 1:
            raise AttributeError(f"{self.name} has no single function {name} of {count} arguments")
        return matching[0]

    def encode(self, name: str, *arguments: Any) -> bytes:
        """Calldata."""
        entry = self._function(name, len(arguments))
        return _hash(entry)[:4] + encode(_types(entry["inputs"]), arguments)

    def _decode(self, name: str, arguments: tuple[Any, ...], output: bytes) -> Any:
        values = decode(_types(self._function(name, len(arguments))["outputs"]), output)
        return values[0] if len(values) == 1 else values or None

    def transact(self, name: str, *arguments: Any, sender: str = DEPLOYER, gas: int = CALL_GAS, value: int = 0) -> Any:
        """Executes and keeps the state."""
        output = self.evm.send(self.address, self.encode(name, *arguments), sender=sender, gas=gas, value=value)
        return self._decode(name, arguments, output)

    def call(self, name: str, *arguments: Any, sender: str = DEPLOYER, gas: int = CALL_GAS) -> Any:
        """Executes and undoes the state changes."""
        with self.evm.undo():
            return self.transact(name, *arguments, sender=sender, gas=gas)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._functions:
            raise AttributeError(name)
        return lambda *arguments, **options: self.call(name, *arguments, **options)


class Evm:
    """An EVM with an account that can pay."""

    def __init__(self, timestamp: int = 1_800_000_000) -> None:
        self.revm = pyrevm.EVM(spec_id="CANCUN")
        self.revm.set_balance(DEPLOYER, 10**30)
        self.gas_used = 0
        self.set_time(timestamp)

    def set_time(self, timestamp: int) -> None:
        """Block time, seconds."""
        self.timestamp = timestamp
        self.revm.set_block_env(pyrevm.BlockEnv(number=1, timestamp=timestamp, gas_limit=2**63))

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """Deploys an artifact with constructor arguments."""
        artifact = _learn(name)
        constructor = [entry for entry in artifact.abi if entry["type"] == "constructor"]
        types = _types(constructor[0]["inputs"]) if constructor else []
        return Contract(self, name, self.deploy_code(artifact.bytecode + encode(types, arguments)))

    def deploy_code(self, creation_code: bytes) -> str:
        """Deploys raw creation code."""
        try:
            address = self.revm.deploy(DEPLOYER, creation_code)
        except RuntimeError as error:
            raise self._failure(error) from None
        self.gas_used = self.revm.result.gas_used
        return str(address)

    def send(self, to: str, data: bytes, *, sender: str = DEPLOYER, gas: int = CALL_GAS, value: int = 0) -> bytes:
        """A raw message call that keeps the state. Raises `Reverted`."""
        try:
            output = self.revm.message_call(sender, to, calldata=data, gas=gas, value=value)
        except RuntimeError as error:
            raise self._failure(error) from None
        self.gas_used = self.revm.result.gas_used
        return bytes(output)

    @contextmanager
    def undo(self) -> Iterator[None]:
        """Restores the state at the end."""
        mark = self.revm.snapshot()
        try:
            yield
        finally:
            self.revm.revert(mark)

    def events(self) -> list[Event]:
        """Events of the last call."""
        decoded = []
        for log in self.revm.result.logs:
            topics = [bytes.fromhex(str(topic).removeprefix("0x")) for topic in log.topics]
            if not topics or topics[0] not in _EVENTS:
                continue
            entry = _EVENTS[topics[0]]
            data = bytes(log.data[1]) if isinstance(log.data, tuple) else bytes(log.data)
            plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
            values = dict(zip((p["name"] for p in plain), decode(_types(plain), data), strict=True))
            for parameter, topic in zip((p for p in entry["inputs"] if p["indexed"]), topics[1:], strict=True):
                dynamic = abi_type(parameter) in ("string", "bytes") or abi_type(parameter).endswith("]")
                values[parameter["name"]] = topic if dynamic else decode([abi_type(parameter)], topic)[0]
            decoded.append(Event(str(log.address), entry["name"], values))
        return decoded

    @staticmethod
    def _failure(error: RuntimeError) -> Reverted:
        text = str(error)
        match = _OUTPUT.search(text)
        if match is None:
            return Reverted("Halt", (), text[:200])
        return decode_revert(bytes.fromhex(match.group(1)[2:]), text[:200])
