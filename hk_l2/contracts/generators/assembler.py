"""A small EVM assembler, and a builder that tracks the stack by name so that no text counts DUP depths by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

OPCODES: dict[str, int] = {
    "ADD": 0x01, "MUL": 0x02, "SUB": 0x03, "MOD": 0x06, "ADDMOD": 0x08, "MULMOD": 0x09,
    "LT": 0x10, "EQ": 0x14, "ISZERO": 0x15, "AND": 0x16, "OR": 0x17, "XOR": 0x18, "BYTE": 0x1A, "SHL": 0x1B, "SHR": 0x1C,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CODECOPY": 0x39, "RETURNDATASIZE": 0x3D,
    "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52, "JUMP": 0x56, "JUMPI": 0x57, "MSIZE": 0x59, "GAS": 0x5A, "JUMPDEST": 0x5B,
    "PUSH0": 0x5F, "RETURN": 0xF3, "STATICCALL": 0xFA, "REVERT": 0xFD,
}  # fmt: skip
OPCODES |= {f"DUP{depth}": 0x7F + depth for depth in range(1, 17)}
OPCODES |= {f"SWAP{depth}": 0x8F + depth for depth in range(1, 17)}

INPUTS: dict[str, int] = {
    "ADD": 2, "MUL": 2, "SUB": 2, "MOD": 2, "ADDMOD": 3, "MULMOD": 3, "LT": 2, "EQ": 2, "ISZERO": 1, "AND": 2, "OR": 2,
    "XOR": 2, "BYTE": 2, "SHL": 2, "SHR": 2, "CALLDATALOAD": 1, "CALLDATASIZE": 0, "RETURNDATASIZE": 0, "MLOAD": 1,
    "GAS": 0, "STATICCALL": 6,
}  # fmt: skip
"""Operands of the operations that leave one result."""


@dataclass(frozen=True)
class Push:
    """A constant; `width` bytes, or as few as it needs."""

    value: int
    width: int | None = None

    def encode(self) -> bytes:
        if self.value == 0 and self.width is None:
            return bytes([OPCODES["PUSH0"]])
        width = self.width or (self.value.bit_length() + 7) // 8
        return bytes([OPCODES["PUSH0"] + width]) + self.value.to_bytes(width, "big")


@dataclass(frozen=True)
class Label:
    """A jump destination."""

    name: str


@dataclass(frozen=True)
class Reference:
    """The code offset of a label, as PUSH2."""

    name: str


Item = str | Push | Label | Reference


def assemble(items: Iterable[Item]) -> bytes:
    """EVM code; every label may be used before it is placed."""
    listing = list(items)
    offsets: dict[str, int] = {}
    position = 0
    for item in listing:
        if isinstance(item, Label):
            if item.name in offsets:
                raise ValueError(f"label {item.name} is placed twice")
            offsets[item.name] = position
        position += len(_encode(item, None))
    return b"".join(_encode(item, offsets) for item in listing)


def _encode(item: Item, offsets: dict[str, int] | None) -> bytes:
    match item:
        case Push():
            return item.encode()
        case Label():
            return bytes([OPCODES["JUMPDEST"]])
        case Reference():
            return Push(0 if offsets is None else offsets[item.name], 2).encode()
        case _:
            return bytes([OPCODES[item]])


def creation_code(runtime_code: bytes) -> bytes:
    """Init code that returns `runtime_code`: PUSH2 length DUP1 PUSH1 10 RETURNDATASIZE CODECOPY RETURNDATASIZE RETURN."""
    return bytes.fromhex(f"61{len(runtime_code):04x}80600a3d393df3") + runtime_code


class Builder:
    """Emits code while it keeps a name for every stack slot (`stack`, bottom to top)."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.stack: list[str] = []
        self._labels = 0

    def new_label(self, stem: str) -> str:
        """A label name that nobody else has."""
        self._labels += 1
        return f"{stem}{self._labels}"

    def _depth(self, name: str) -> int:
        for depth, slot in enumerate(reversed(self.stack)):
            if slot == name:
                return depth
        raise ValueError(f"{name} is not on the stack {self.stack}")

    def push(self, value: int, name: str | None = None) -> Self:
        self.items.append(Push(value))
        self.stack.append(name or hex(value))
        return self

    def dup(self, name: str) -> Self:
        """Copies the topmost slot of that name to the top."""
        self.items.append(f"DUP{self._depth(name) + 1}")
        self.stack.append(f"{name}'")
        return self

    def swap(self, name: str) -> Self:
        """Exchanges the top with the topmost slot of that name."""
        depth = self._depth(name)
        if depth:
            self.items.append(f"SWAP{depth}")
            self.stack[-1], self.stack[-1 - depth] = self.stack[-1 - depth], self.stack[-1]
        return self

    def assign(self, name: str) -> Self:
        """Moves the top into the slot of that name."""
        top = self.stack.pop()
        depth = self._depth(name) + 1
        self.stack.append(top)
        self.items.append(f"SWAP{depth}")
        return self.pop()

    def op(self, opcode: str, name: str | None = None) -> Self:
        """An operation with one result, which gets the name."""
        self._drop(INPUTS[opcode])
        self.items.append(opcode)
        self.stack.append(name or opcode)
        return self

    def name(self, name: str) -> Self:
        """Renames the top."""
        self.stack[-1] = name
        return self

    def mload(self, address: int, name: str | None = None) -> Self:
        return self.push(address).op("MLOAD", name)

    def mstore(self) -> Self:
        """[value, address] -> []"""
        return self._effect("MSTORE", 2)

    def mstore_at(self, address: int) -> Self:
        """[value] -> []"""
        return self.push(address).mstore()

    def pop(self) -> Self:
        return self._effect("POP", 1)

    def label(self, name: str) -> Self:
        self.items.append(Label(name))
        return self

    def jump(self, label: str) -> Self:
        self._reference(label)
        return self._effect("JUMP", 1)

    def jump_if(self, label: str) -> Self:
        """[condition] -> []"""
        self._reference(label)
        return self._effect("JUMPI", 2)

    def raw(self, *items: Item) -> Self:
        """Items that end a path; the tracked stack is left alone."""
        self.items += items
        return self

    def _reference(self, label: str) -> None:
        self.items.append(Reference(label))
        self.stack.append(f"@{label}")

    def _effect(self, opcode: str, inputs: int) -> Self:
        self._drop(inputs)
        self.items.append(opcode)
        return self

    def _drop(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError(f"stack underflow: {self.stack}")
        del self.stack[len(self.stack) - count :]
