"""Every checked-in schedule computes its block's formulas, and nothing is left on the stack."""

from __future__ import annotations

from hk_l2.contracts.generators.assembler import INPUTS
from hk_l2.contracts.generators.blocks import CURVE_BLOCKS, Block, sm3_round
from hk_l2.contracts.generators.comb import cheapest_path, sign_flips, steps
from hk_l2.contracts.generators.schedules import Code, load

COMMUTATIVE = {"ADD", "MUL", "AND", "OR", "XOR"}
COSTS = {"MUL": 5, "MULMOD": 8, "ADDMOD": 8}


def _key(opcode: str, inputs: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if opcode in COMMUTATIVE:
        return opcode, tuple(sorted(inputs))
    if opcode in ("MULMOD", "ADDMOD"):
        return opcode, (*sorted(inputs[:2]), inputs[2])
    return opcode, inputs


def run(block: Block, code: Code, stack: list[str]) -> tuple[list[str], int]:
    """Executes code on names of values; an operation that the block does not contain is an error. Also the gas."""
    known = {_key(opcode, inputs): result for result, opcode, inputs in block.operations}
    stack = [*block.environment, *stack]
    gas = 0
    for kind, value in code:
        if kind == "leaf":
            stack.append(value)
            gas += block.leaves[value]
            continue
        gas += COSTS.get(value, 3)
        if value.startswith("DUP"):
            stack.append(stack[-int(value[3:])])
        elif value.startswith("SWAP"):
            depth = int(value[4:]) + 1
            assert len(stack) - depth >= len(block.environment)
            stack[-1], stack[-depth] = stack[-depth], stack[-1]
        else:
            inputs = tuple(stack.pop() for _ in range(INPUTS[value]))
            stack.append(known[_key(value, inputs)])
    assert tuple(stack[: len(block.environment)]) == block.environment
    return stack[len(block.environment) :], gas


def test_curve_schedules() -> None:
    for schedule in load().curve:
        block = CURVE_BLOCKS[schedule.kind]
        stack, gas = run(block, schedule.code, [*schedule.before.split(","), *block.order_fixed])
        assert [block.results[name] for name in stack] == schedule.after.split(",")
        assert gas == schedule.gas


def test_sm3_schedules() -> None:
    stack = load().sm3_start
    for j, code in enumerate(load().sm3_rounds):
        block = sm3_round(j)
        left, _ = run(block, code, stack)
        stack = [block.results[name] for name in left]
    assert stack == ["ac", "bc", "C", "D", "E", "F", "G", "H"]


def test_path_uses_every_point_once() -> None:
    points = [point for step in steps() for point in step.points]
    assert sorted(points) == sorted((base, column) for base in ("G", "K") for column in range(32))
    order, path = cheapest_path(steps(), load().curve)
    assert set(order.split(",")) == {"X", "ZZ"}
    assert len(path) == len(steps()) == 78
    assert set(sign_flips(steps())) == {"G", "K"}
