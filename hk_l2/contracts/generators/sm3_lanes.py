"""SM3 for four signers at once: 32-bit words of four messages in 64-bit lanes of one EVM word.

Every signer hashes Z_i || TAG || digest || padding. The first block, Z_i || TAG, is constant: the registry keeps its chaining
value (the *midstate*). The second block, digest || padding, is the same for all, so its message expansion is done once for
all signers; only the 64 rounds run per group of four, on different chaining values.

A rotation is one multiplication and one shift: x * (2^32 + 1) is x twice, and a shift right leaves the rotated word, under
which bits of no interest are masked off.
"""

from __future__ import annotations

from dataclasses import dataclass

from hk_l2.contracts.generators.assembler import Builder, Push
from hk_l2.contracts.generators.params import SM3_ROUND_CONSTANTS
from hk_l2.contracts.generators.schedules import Leaf, Schedules, emit

LANES = 4
LANE_BITS = 64
REPLICATE = sum(1 << (LANE_BITS * lane) for lane in range(LANES))
"""Times a 32-bit word: that word in all lanes."""
LANE_MASK = REPLICATE * 0xFFFFFFFF
TWICE = (1 << 32) + 1
MESSAGE_BITS = 96 * 8
"""Z, TAG and digest."""


@dataclass(frozen=True)
class Memory:
    """Addresses the SM3 part uses."""

    schedule: int
    """W_0..W_67, eight bytes apart: a load at word j gives W_j..W_j+3."""
    schedule_xor: int
    """W_j xor W_j+4, likewise."""
    midstates: int
    start: int
    """The eight chaining words in lanes, for the feed-forward."""
    scratch: int

    def digest(self, lane: int) -> int:
        """Where `compress` leaves the hash of a lane."""
        return self.scratch + 64 * lane + 32


def expand_message(code: Builder, memory: Memory) -> None:
    """Message expansion of the block digest || padding (GB/T 32905 5.3.2), three words a step. The digest is calldata word 0."""

    def words(j: int) -> Builder:
        return code.mload(memory.schedule + 8 * j)

    code.push(LANE_MASK, "mask")
    for half in (0, 1):  # spread each half of the digest to four 64-bit fields
        code.push(0).op("CALLDATALOAD", "digest")
        if half == 0:
            code.push(128).op("SHR", "digest")
        else:
            code.push(2**128 - 1).op("AND", "digest")
        code.dup("digest").push(64).op("SHL").op("OR", "digest")
        code.push((2**64 - 1) | ((2**64 - 1) << 128)).op("AND", "digest")
        code.dup("digest").push(32).op("SHL").op("OR", "digest").dup("mask").op("AND", "digest")
        code.mstore_at(memory.schedule + 32 * half)
    code.push(0x80000000 << 192).mstore_at(memory.schedule + 64)
    code.push(MESSAGE_BITS).mstore_at(memory.schedule + 96)
    for j in range(16, 68, 3):
        words(j - 3).push(TWICE).op("MUL").push(17).op("SHR")
        words(j - 9).op("XOR")
        words(j - 16).op("XOR").dup("mask").op("AND", "x")
        # P1(x) = x ^ (x <<< 15) ^ (x <<< 23)
        code.dup("x").push(TWICE).op("MUL", "xx").dup("xx").push(17).op("SHR", "x15").swap("xx").push(9).op("SHR")
        code.op("XOR").op("XOR")
        words(j - 13).push(TWICE).op("MUL").push(25).op("SHR").op("XOR")
        words(j - 6).op("XOR").dup("mask").op("AND").mstore_at(memory.schedule + 8 * j)
    for j in range(0, 64, 4):
        words(j + 4)
        words(j).op("XOR").mstore_at(memory.schedule_xor + 8 * j)
    code.pop()


def compress(code: Builder, memory: Memory, schedules: Schedules) -> None:
    """[..] -> [.., four values to drop]: 64 rounds and the feed-forward, from the four stored midstates to `digest(lane)`."""
    for lane in reversed(range(LANES)):
        code.mload(memory.midstates + 32 * lane, f"midstate{lane}")
    code.push(REPLICATE, "replicate").push(LANE_MASK, "mask")
    environment = list(code.stack)
    packed: set[int] = set()

    def chaining_word(k: int) -> Builder:
        """Word k of the four midstates side by side, by overlapping stores into the scratch space."""
        if k in packed:
            return code.mload(memory.start + 32 * k)
        packed.add(k)
        in_place = 2 <= k <= 5
        for lane in reversed(range(LANES)) if k < 6 else range(LANES):
            code.dup(f"midstate{lane}")
            if in_place:
                code.push(32 * k).op("SHL")
            code.mstore_at(memory.scratch + 32 + 28 - 8 * lane - (0 if in_place else 4 * k))
        code.mload(memory.scratch + 32).dup("mask").op("AND", f"V{k}")
        return code.dup(f"V{k}").mstore_at(memory.start + 32 * k)

    # Registers the first round expects: A..H, with A and B also doubled (`ad`) or rotated (`c1` = B <<< 9).
    register = {"ac": 0, "bc": 1, "C": 2, "D": 3, "E": 4, "F": 5, "G": 6, "H": 7}
    for name in schedules.sm3_start:
        if name == "ad":
            chaining_word(0).push(TWICE).op("MUL")
        elif name == "c1":
            chaining_word(1).push(TWICE).op("MUL").push(23).op("SHR").dup("mask").op("AND")
        else:
            chaining_word(register[name])
    leaves: dict[str, Leaf] = {f"c{count}": [Push(count)] for count in (13, 15, 20, 23, 25, 192)}
    leaves["K"] = [Push(TWICE)]
    for j, (constant, instructions) in enumerate(zip(SM3_ROUND_CONSTANTS, schedules.sm3_rounds, strict=True)):
        leaves["T"] = [Push(constant * REPLICATE)]
        leaves["lw"] = [Push(memory.schedule + 8 * j), "MLOAD"]
        leaves["lx"] = [Push(memory.schedule_xor + 8 * j), "MLOAD"]
        emit(code, instructions, leaves)
    code.stack = environment + list("ABCDEFGH")
    for k in reversed(range(8)):  # descending overlapping stores assemble the digests
        code.mload(memory.start + 32 * k).op("XOR", "word")
        for lane in range(LANES):
            if lane < LANES - 1:
                code.dup("word")
            if lane:
                code.push(LANE_BITS * lane).op("SHR")
            code.mstore_at(memory.digest(lane) + 4 * k - 28)
    for _ in range(LANES + 2):
        code.pop()
