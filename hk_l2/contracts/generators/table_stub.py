"""Look-up code in front of every key table (a contract of 16 KB of points).

Input: one word of 32 table indices, one byte per comb column. Output: the 32 selected points, 64 bytes each, in the order
of the bytes. One STATICCALL fetches all points of a scalar: the table is code, so a look-up is a 64-byte CODECOPY.
"""

from __future__ import annotations

from hk_l2.contracts.generators.assembler import Item, Push, assemble

POINT_SIZE = 64
LOOKUPS = 32
_LOW_BYTES = int("00ff" * 16, 16)
_ONES = int("0001" * 16, 16)


def _stub(table_offset: int) -> bytes:
    items: list[Item] = []
    # Two words of sixteen 16-bit code offsets, `index * 64 + table_offset`: odd bytes first, then even bytes.
    for shift in (0, 8):
        items += [Push(table_offset * _ONES, 32), Push(_LOW_BYTES, 32), "PUSH0", "CALLDATALOAD"]
        if shift:
            items += [Push(shift), "SHR"]
        items += ["AND", Push(6), "SHL", "ADD"]
    for byte in range(LOOKUPS):
        field = byte // 2
        items += [Push(POINT_SIZE), "DUP3" if byte % 2 else "DUP2"]
        if field < 15:
            items += [Push(240 - 16 * field), "SHR"]
        if field > 0:
            items += [Push(0xFFFF), "AND"]
        items += ["MSIZE", "CODECOPY"]  # appends: memory grows by one point at a time
    items += [Push(LOOKUPS * POINT_SIZE), "PUSH0", "RETURN"]
    return assemble(items)


def table_stub() -> bytes:
    """The stub; the points follow it at once."""
    return _stub(len(_stub(0)))
