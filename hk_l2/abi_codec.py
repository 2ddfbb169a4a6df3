"""Encodes and decodes by a contract's ABI: calls, results, events, and the custom errors of all our contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from hk_l2 import artifacts
from hk_l2.chain import EventLog
from hk_l2.errors import RevertError

SELECTOR_LENGTH = 4


def canonical_type(item: Mapping[str, Any]) -> str:
    """Type of an ABI input as signatures have it: tuples spelt out."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical_type(component) for component in item["components"])
    return f"({inner}){kind[len('tuple') :]}"


def _plain(item: Mapping[str, Any], value: Any) -> Any:
    """Addresses with checksum, structs as dictionaries by field name."""
    kind: str = item["type"]
    if kind.endswith("]"):
        element = {**item, "type": kind[: kind.rindex("[")]}
        return tuple(_plain(element, entry) for entry in value)
    if kind == "tuple":
        pairs = zip(item["components"], value, strict=True)
        return {component["name"]: _plain(component, entry) for component, entry in pairs}
    return to_checksum_address(value) if kind == "address" else value


@dataclass(frozen=True, slots=True)
class Entry:
    """One function, event or error."""

    name: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]

    @property
    def signature(self) -> str:
        """Canonical signature."""
        return f"{self.name}({','.join(canonical_type(item) for item in self.inputs)})"

    @property
    def digest(self) -> bytes:
        """Keccak of the signature: an event's topic; its first four bytes are the selector."""
        return bytes(keccak(text=self.signature))

    def decode_arguments(self, data: bytes) -> dict[str, Any]:
        """Arguments by name from their encoding."""
        values = decode([canonical_type(item) for item in self.inputs], data)
        return {item["name"]: _plain(item, value) for item, value in zip(self.inputs, values, strict=True)}


def _entries(abi: Iterable[Mapping[str, Any]], kind: str) -> list[Entry]:
    return [
        Entry(item["name"], tuple(item["inputs"]), tuple(item.get("outputs", ())))
        for item in abi
        if item["type"] == kind
    ]


class ContractAbi:
    """Codec of one contract."""

    def __init__(self, name: str, abi: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self._functions = {entry.name: entry for entry in _entries(abi, "function")}
        self._events = {entry.digest: entry for entry in _entries(abi, "event")}
        self._constructor = next((tuple(item["inputs"]) for item in abi if item["type"] == "constructor"), ())  # type: tuple[Mapping[str, Any], ...]

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Calldata of a function call."""
        entry = self._functions[function]
        return entry.digest[:SELECTOR_LENGTH] + encode([canonical_type(item) for item in entry.inputs], arguments)

    def encode_constructor(self, arguments: Sequence[Any]) -> bytes:
        """Constructor arguments as they follow the creation code."""
        return encode([canonical_type(item) for item in self._constructor], arguments)

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Return values of a function call; structs as dictionaries."""
        entry = self._functions[function]
        values = decode([canonical_type(item) for item in entry.outputs], data)
        return tuple(_plain(item, value) for item, value in zip(entry.outputs, values, strict=True))

    def topic(self, event: str) -> bytes:
        """First topic of an event."""
        return next(digest for digest, entry in self._events.items() if entry.name == event)

    def decode_event(self, log: EventLog) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of an event, or None when the log is none of this contract's events."""
        entry = self._events.get(log.topics[0]) if log.topics else None
        if entry is None:
            return None
        indexed = [item for item in entry.inputs if item["indexed"]]
        plain = [item for item in entry.inputs if not item["indexed"]]
        found = dict(
            zip((item["name"] for item in plain), decode([canonical_type(i) for i in plain], log.data), strict=True)
        )
        for item, topic in zip(indexed, log.topics[1:], strict=True):
            # An indexed string or bytes is only there as its hash.
            found[item["name"]] = topic if item["type"] in ("string", "bytes") else decode([item["type"]], topic)[0]
        return entry.name, {item["name"]: _plain(item, found[item["name"]]) for item in entry.inputs}


@cache
def contract_abi(name: str) -> ContractAbi:
    """Codec of one of our contracts."""
    return ContractAbi(name, artifacts.load(name).abi)


_LANGUAGE_ERRORS = (
    Entry("Error", ({"name": "reason", "type": "string"},), ()),
    Entry("Panic", ({"name": "code", "type": "uint256"},), ()),
)


@cache
def _errors_by_selector() -> Mapping[bytes, Entry]:
    found = {entry.digest[:SELECTOR_LENGTH]: entry for entry in _LANGUAGE_ERRORS}
    for name in artifacts.names():
        for entry in _entries(artifacts.load(name).abi, "error"):
            found[entry.digest[:SELECTOR_LENGTH]] = entry
    return found


def decode_revert(data: bytes, *, subject: str = "") -> RevertError:
    """The typed error of a revert, by any error that any of our contracts declares."""
    entry = _errors_by_selector().get(data[:SELECTOR_LENGTH])
    if entry is None:
        return RevertError(
            "" if not data else f"unknown error 0x{data[:SELECTOR_LENGTH].hex()}", {}, data, subject=subject
        )
    try:
        arguments = entry.decode_arguments(data[SELECTOR_LENGTH:])
    except DecodingError:
        return RevertError(entry.name, {}, data, subject=subject)
    return RevertError(entry.name, arguments, data, subject=subject)
