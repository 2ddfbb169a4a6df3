"""Constants of SM2 (GB/T 32918.5-2017) and SM3 (GB/T 32905-2016)."""

from __future__ import annotations

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
"""Field prime; a = p - 3."""
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
"""Order of the generator; the cofactor is 1."""


def rotate_left(word: int, count: int) -> int:
    """Rotation of a 32-bit word."""
    count %= 32
    return ((word << count) | (word >> (32 - count))) & 0xFFFFFFFF


SM3_ROUND_CONSTANTS = tuple(rotate_left(0x79CC4519 if j < 16 else 0x7A879D8A, j) for j in range(64))
"""T_j, already rotated by j as round j uses it."""
