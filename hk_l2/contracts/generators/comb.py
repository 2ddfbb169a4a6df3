"""Scalar multiplication of the verifier: two half-offset signed combs (Lim-Lee) per base point.

A scalar is recoded into 256 signs: for odd k, `k = sum of s_i * 2^i` with s_i = +1 or -1. Row `i`, column `c` of the comb
is bit `32 * i + c`; a table holds, for all 128 sign patterns of a column (the top sign factored out), the sum of the rows'
points. Columns 16..31 use a second table, offset by 2^16, so 16 columns' doublings serve both: 15 doublings and
64 additions for s*G + t*P together. A scalar that is even is replaced by n - k, and the sign of its points by the opposite.

Points are in XYZZ coordinates (x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2); N stands for -Y and Z3 for +ZZZ or -ZZZ. Each operation
flips the sign of Z3 instead of negating; the sign is known at every step, and the table's y takes it up. Additions are
incomplete: equal or opposite points give ZZ = 0, which every later operation keeps, and the final check refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

from hk_l2.contracts.generators.assembler import Builder
from hk_l2.contracts.generators.params import N
from hk_l2.contracts.generators.schedules import CurveBlock

COLUMNS = 32
BASES = ("G", "K")
"""The generator and the signer's key."""


@dataclass(frozen=True)
class Step:
    """`F` first pair, `A` addition, `D` doubling, `L` last addition (its Y is not needed); table points as (base, column)."""

    kind: str
    points: tuple[tuple[str, int], ...] = ()


def lane_of(column: int) -> int:
    """Byte (from the most significant) of a column after `recode`, whose bit swaps put the columns in this order."""
    return 31 - (((column & 7) << 2) | (column >> 3))


def steps() -> list[Step]:
    """The whole multiplication, from the highest pair of columns down."""
    generator, key = BASES
    sequence = [Step("F", ((generator, 15), (generator, 31))), Step("A", ((key, 15),)), Step("A", ((key, 31),))]
    for column in range(14, -1, -1):
        sequence.append(Step("D"))
        sequence += [Step("A", ((base, column + half),)) for base in BASES for half in (0, 16)]
    sequence[-1] = Step("L", sequence[-1].points)
    return sequence


def sign_flips(sequence: list[Step]) -> dict[str, int]:
    """For each base, a word with bit 7 set in the byte of every column whose y must be negated because Z3 is -ZZZ."""
    flips = dict.fromkeys(BASES, 0)
    negative = False
    for step in sequence:
        # The first pair starts from the negated first point, as N = -Y.
        flipped = (True, False) if step.kind == "F" else (negative,)
        for (base, column), flip in zip(step.points, flipped, strict=False):
            if flip:
                flips[base] |= 1 << (8 * (31 - lane_of(column)))
        negative = True if step.kind == "F" else not negative
    return flips


def cheapest_path(sequence: list[Step], blocks: list[CurveBlock]) -> tuple[str, list[CurveBlock]]:
    """The cheapest chain of schedules: each one starts from the stack order the one before left. Also the final order."""
    paths: dict[str, tuple[int, list[CurveBlock]]] = {"N": (0, [])}
    for step in sequence:
        reached: dict[str, tuple[int, list[CurveBlock]]] = {}
        for order, (gas, path) in paths.items():
            for block in blocks:
                if block.kind == step.kind and block.before == order:
                    total = gas + block.gas
                    if block.after not in reached or total < reached[block.after][0]:
                        reached[block.after] = (total, [*path, block])
        paths = reached
    order, (_, path) = min(paths.items(), key=lambda item: item[1][0])
    return order, path


_ONES = int("01" * 32, 16)
_LOW_SEVEN = int("7f" * 32, 16)
_SECOND_TABLE = sum(0x80 << (8 * (31 - lane_of(column))) for column in range(16, 32))


def _swap_mask(high: int, low: int) -> int:
    return sum(1 << bit for bit in range(256) if (bit >> low) & 1 and not (bit >> high) & 1)


def recode(code: Builder, flips: int) -> None:
    """[scalar] -> [keep, indices]: table index and "y as it is" flag of every column, one byte each, in `lane_of` order."""
    odd = code.new_label("odd")
    code.name("scalar").push(1).dup("scalar").op("AND", "odd").dup("odd").jump_if(odd)
    code.swap("scalar").push(N).op("SUB", "scalar").swap("odd")
    code.label(odd)
    # Signs of an odd k: bit i of ((k >> 1) | 2^255). Inverting all of them negates, for an even scalar.
    code.push(1).swap("odd").op("SUB", "invert").swap("scalar").push(1).op("SHR").push(1 << 255).op("OR")
    code.op("XOR", "signs")
    # Three swaps of bit-index digits transpose rows x columns: afterwards a byte holds the eight rows of one column.
    for high, low in ((7, 2), (6, 1), (5, 0)):
        distance = (1 << high) - (1 << low)
        code.dup("signs").dup("signs").push(distance).op("SHR").op("XOR").push(_swap_mask(high, low)).op("AND", "moved")
        code.dup("moved").push(distance).op("SHL").op("XOR").op("XOR", "signs")
    # The top row's sign is factored out: where it is minus, the seven others are inverted and the point is negated.
    code.dup("signs").push(7).op("SHR").push(_ONES).op("AND", "plus")
    code.dup("plus").push(_ONES).op("XOR").push(0x7F).op("MUL", "inverted")
    code.swap("signs").push(_LOW_SEVEN).op("AND", "rows").swap("plus").push(flips).op("XOR", "keep")
    code.swap("inverted").op("XOR").push(_SECOND_TABLE).op("OR", "indices")
