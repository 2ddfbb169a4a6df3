"""Reads `schedules.json`: instruction sequences for the straight-line parts of the verifier (formulas: blocks.py).

They came from a beam search over DUP, SWAP, load and operation, scored by gas; every input order of the stack was searched.
Tests execute each sequence against its formulas, so how it was found need not be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hk_l2.contracts.generators.assembler import INPUTS, Builder, Item

FILE = Path(__file__).with_name("schedules.json")

Code = list[tuple[str, str]]
"""Instructions: ("op", opcode) or ("leaf", name of a value that is loaded at this place)."""
Leaf = list[Item] | Callable[[int], list[Item]]
"""How a leaf is loaded; a function receives the number of values the block has on the stack by then."""


@dataclass(frozen=True)
class CurveBlock:
    """One point operation. It takes and leaves X, N, ZZ, Z3 on the stack, in orders that are part of the schedule."""

    kind: str
    before: str
    after: str
    gas: int
    code: Code


@dataclass(frozen=True)
class Schedules:
    """All schedules."""

    curve: list[CurveBlock]
    sm3_start: list[str]
    """Values (bottom to top) with which the first SM3 round starts."""
    sm3_rounds: list[Code]


def _code(instructions: list[list[str]]) -> Code:
    return [(kind, value) for kind, value in instructions]


@cache
def load() -> Schedules:
    """The checked-in schedules."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    curve = []
    for name, (gas, code) in document["comb"].items():
        kind, layouts = name.split(":")
        before, after = layouts.split(">")
        curve.append(CurveBlock(kind, before, after, gas, _code(code)))
    sm3 = document["sm3x4"]
    return Schedules(curve, sm3["start"], [_code(code) for code in sm3["rounds"]])


def emit(builder: Builder, code: Code, leaves: Mapping[str, Leaf], depth: int = 0) -> None:
    """Appends scheduled code. The caller restates the tracked stack afterwards; `depth` is what the block starts with."""
    for kind, value in code:
        if kind == "leaf":
            leaf = leaves[value]
            builder.items += leaf(depth) if callable(leaf) else leaf
            depth += 1
        else:
            builder.items.append(value)
            if value.startswith("DUP"):
                depth += 1
            elif not value.startswith("SWAP"):
                depth += 1 - INPUTS[value]
