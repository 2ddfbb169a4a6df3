"""SM2 quorum verifier: one call checks SM2 signatures of several registered keys over SM3(Z_i || TAG || digest).

Calldata: digest (32) | generator table (20), offset of the signatures (4), bitmap (8) | per member of the set: midstate (32),
key table (20) | per set bit, in rising order: r (32), s (32). Returns the word 1 when every listed signature is valid and
the signatures end exactly where the calldata ends; reverts otherwise. It has no storage and trusts its caller for the set.

Verification (GB/T 32918.2 section 7): t = r + s mod n, t != 0; (x1, y1) = s*G + t*P; r = e + x1 mod n. There is no
inversion: with x1 = X/ZZ the last equation is X = (r - e) * ZZ, or X = (r - e + n) * ZZ where r - e + n < p.

Signers are taken in groups of four. Each contributes X, ZZ and r; the group shares one SM3 computation.
"""

from __future__ import annotations

from collections.abc import Callable

from hk_l2.contracts.generators import comb, sm3_lanes
from hk_l2.contracts.generators.assembler import Builder, Item, Push, assemble
from hk_l2.contracts.generators.params import N, P
from hk_l2.contracts.generators.schedules import Leaf, Schedules, emit, load
from hk_l2.contracts.generators.table_stub import LOOKUPS, POINT_SIZE

HEADER_SIZE = 64
MEMBER_SIZE = 52
SIGNATURE_SIZE = 64
_POINTS_SIZE = LOOKUPS * POINT_SIZE
_HALF_OF_THREE = 3 * pow(2, -1, P) % P

# Memory.
_POINTS = {"G": 0, "K": _POINTS_SIZE}
_QUERY = 2 * _POINTS_SIZE
_SCHEDULE = _QUERY + 32
_MIDSTATES = _SCHEDULE + 0x460
_X = _MIDSTATES + 32 * sm3_lanes.LANES
_ZZ = _X + 32 * sm3_lanes.LANES
_R = _ZZ + 32 * sm3_lanes.LANES
_START = _R + 32 * sm3_lanes.LANES
_SM3 = sm3_lanes.Memory(
    schedule=_SCHEDULE, schedule_xor=_SCHEDULE + 0x240, midstates=_MIDSTATES, start=_START, scratch=_START + 0x120
)

# Loop state, bottom to top: byte offset of the group's next lane, remaining bitmap, calldata offsets of member and signature.
_STATE = ["lane", "bitmap", "member", "signature"]


def quorum_verifier(*, raw_digest: bool = False) -> bytes:
    """Run-time code. `raw_digest` (tests only) leaves SM3 out: the midstate field holds e itself."""
    return _Generator(load(), raw_digest).generate()


class _Generator:
    def __init__(self, schedules: Schedules, raw_digest: bool) -> None:
        self.schedules = schedules
        self.raw_digest = raw_digest
        self.code = Builder()

    def generate(self) -> bytes:
        code = self.code
        sm3_lanes.expand_message(code, _SM3)
        code.push(0, "lane").push(32).op("CALLDATALOAD").push(2**64 - 1).op("AND", "bitmap").push(HEADER_SIZE, "member")
        code.push(32).op("CALLDATALOAD").push(64).op("SHR").push(0xFFFFFFFF).op("AND", "signature")
        self._expect()
        self._next_signer()
        self._multiply()
        code.dup("bitmap").push(1).op("SHR").assign("bitmap")
        self._advance("member", MEMBER_SIZE)
        self._advance("signature", SIGNATURE_SIZE)
        self._advance("lane", 32)
        code.push(32 * sm3_lanes.LANES).dup("lane").op("LT").jump_if("next")
        code.label("group").dup("lane").op("ISZERO").jump_if("done")
        if not self.raw_digest:
            sm3_lanes.compress(code, _SM3, self.schedules)
        self._expect()
        self._check_group()
        code.label("done").dup("signature").op("CALLDATASIZE").op("SUB").jump_if("fail")
        code.push(1).mstore_at(0).raw(Push(32), "PUSH0", "RETURN")
        code.label("fail").raw("PUSH0", "PUSH0", "REVERT")
        return assemble(code.items)

    def _expect(self, *above: str) -> None:
        expected = [*_STATE, *above]
        if self.code.stack != expected:
            raise AssertionError(f"stack is {self.code.stack}, not {expected}")

    def _advance(self, name: str, step: int) -> None:
        self.code.dup(name).push(step).op("ADD").assign(name)

    def _next_signer(self) -> None:
        """Finds the next set bit, checks the ranges of r, s and t, notes r and the midstate. [] -> [s, t]"""
        code = self.code
        code.label("next").dup("bitmap").op("ISZERO").jump_if("group")
        code.label("find").dup("bitmap").push(1).op("AND").jump_if("found")
        code.dup("bitmap").push(1).op("SHR").assign("bitmap")
        self._advance("member", MEMBER_SIZE)
        code.jump("find")
        code.label("found").dup("signature").push(32).op("ADD").op("CALLDATALOAD", "s")
        code.dup("signature").op("CALLDATALOAD", "r").push(N).dup("s").dup("r").op("ADDMOD", "t")
        # 0 < value < n, as value - 1 < n - 1 without sign.
        for name in ("s", "r"):
            code.push(N - 1).push(1).dup(name).op("SUB").op("LT", "valid")
        code.op("AND", "valid").dup("t").op("ISZERO").op("ISZERO").op("AND").op("ISZERO").jump_if("fail")
        code.swap("r").dup("lane").push(_R).op("ADD").mstore()
        code.dup("member").op("CALLDATALOAD").dup("lane").push(_MIDSTATES).op("ADD").mstore()
        self._expect("s", "t")

    def _fetch_points(self, base: str, table: Callable[[], object]) -> None:
        """[indices] -> []: the selected points of a table; what does not answer like a table fails here."""
        code = self.code
        code.mstore_at(_QUERY).push(_POINTS_SIZE).push(_POINTS[base]).push(32).push(_QUERY)
        table()
        code.op("CALLDATALOAD").push(96).op("SHR").op("GAS").op("STATICCALL").op("RETURNDATASIZE").op("MUL")
        code.push(_POINTS_SIZE).op("SUB").jump_if("fail")

    def _multiply(self) -> None:
        """s*G + t*P for one signer; notes X and ZZ. [s, t] -> []"""
        code = self.code
        sequence = comb.steps()
        flips = comb.sign_flips(sequence)
        last_order, path = comb.cheapest_path(sequence, self.schedules.curve)
        code.swap("s")
        comb.recode(code, flips["G"])
        self._fetch_points("G", lambda: code.push(32))
        code.name("keepG").swap("t")
        comb.recode(code, flips["K"])
        self._fetch_points("K", lambda: code.dup("member").push(32).op("ADD"))
        code.name("keepK").push(_HALF_OF_THREE, "three_halves").push(P, "p")
        environment = [*_STATE, "keepG", "keepK", "three_halves", "p"]
        self._expect(*environment[len(_STATE) :])
        for step, block in zip(sequence, path, strict=True):
            leaves: dict[str, Leaf] = {}
            for name, (base, column) in zip(("nx1", "nx") if step.kind == "F" else ("nx",), step.points, strict=False):
                self._load_y(base, column)
                leaves[name] = _load_x(base, column)
            if step.kind == "D":
                leaves["c32"] = lambda depth: [f"DUP{depth + 2}"]
                emit(code, block.code, leaves, depth=4)
            else:
                emit(code, block.code, leaves)
            code.stack = [*environment, "X", "N", "ZZ", "Z3"]
        code.stack = environment + last_order.split(",")
        for _ in range(2):
            code.dup("lane").push(_X if code.stack[-2] == "X" else _ZZ).op("ADD").mstore()
        code.pop().pop().pop().pop()

    def _load_y(self, base: str, column: int) -> None:
        """y of a selected point, negated unless the column's keep flag is set."""
        code = self.code
        keep = code.new_label("y")
        lane = comb.lane_of(column)
        code.mload(_POINTS[base] + POINT_SIZE * lane + 32, "y").dup(f"keep{base}").push(lane).op("BYTE").jump_if(keep)
        code.dup("p").op("SUB", "y").label(keep)
        code.name("N" if code.stack[-2] == "p" else "y")

    def _check_group(self) -> None:
        """r = e + x1 mod n for every lane in use; ZZ = 0 (infinity, or an exceptional addition) refuses."""
        code = self.code
        for lane in range(sm3_lanes.LANES):
            valid = code.new_label("valid")
            digest = _MIDSTATES + 32 * lane if self.raw_digest else _SM3.digest(lane)
            code.mload(digest, "e").push(N).swap("e").op("MOD", "e").push(N).op("SUB", "-e").push(N, "n").swap("-e")
            code.mload(_R + 32 * lane).op("ADDMOD", "x1")
            code.mload(_ZZ + 32 * lane, "zz").dup("zz").op("ISZERO").jump_if("fail")
            code.push(P).dup("zz").dup("x1").op("MULMOD").mload(_X + 32 * lane).op("EQ").jump_if(valid)
            code.push(P - N).dup("x1").op("LT").op("ISZERO").jump_if("fail")
            code.push(P).dup("zz").dup("x1").push(N).op("ADD").op("MULMOD").mload(_X + 32 * lane).op("SUB").jump_if(
                "fail"
            )
            code.label(valid).pop().pop()
            if lane < sm3_lanes.LANES - 1:
                code.push(32 * (lane + 1) + 1).dup("lane").op("LT").jump_if("checked")
        self._expect()
        code.label("checked").push(0).assign("lane").dup("bitmap").jump_if("next")


def _load_x(base: str, column: int) -> list[Item]:
    """The tables hold -x."""
    return [Push(_POINTS[base] + POINT_SIZE * comb.lane_of(column)), "MLOAD"]
