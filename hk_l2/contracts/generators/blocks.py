"""The straight-line blocks of the verifier as formulas: what `schedules.json` schedules, and what its code must compute.

An operation is (result, opcode, inputs), first input on top of the stack. Point formulas: XYZZ coordinates with N = -Y,
Z3 = +ZZZ or -ZZZ and nx = -x of the table point (see comb.py). p is the field prime, c32 = 3/2 mod p.
"""

from __future__ import annotations

from dataclasses import dataclass

Operation = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Block:
    """Operations with their surroundings."""

    operations: tuple[Operation, ...]
    environment: tuple[str, ...]
    """Values below the block, which it leaves in place (bottom to top, the nearest last)."""
    consumed: tuple[str, ...]
    """Values it takes from the stack, in some order, and then in this order those at the end of `order_fixed`."""
    order_fixed: tuple[str, ...]
    """Values that always lie on top of the others when the block starts."""
    leaves: dict[str, int]
    """Values it loads itself, with the gas of loading."""
    results: dict[str, str]
    """Values it leaves, in any order, and the names under which the next block takes them."""


def _parse(text: str) -> tuple[Operation, ...]:
    """One operation a line: `result = OPCODE input input ..`."""
    operations = []
    for line in text.strip().splitlines():
        result, expression = line.strip().split(" = ")
        opcode, *inputs = expression.split()
        operations.append((result, opcode, tuple(inputs)))
    return tuple(operations)


_ADD = _parse("""
    a = MULMOD nx ZZ p
    D = ADDMOD a X p
    b = MULMOD y Z3 p
    R = ADDMOD b N p
    E = MULMOD D D p
    F = MULMOD D E p
    Q = MULMOD X E p
    ZZo = MULMOD ZZ E p
    Z3o = MULMOD Z3 F p
    m = SUB p Q
    G = MULMOD R R p
    H = ADDMOD G F p
    I = ADDMOD H m p
    Xo = ADDMOD I m p
    J = ADDMOD Xo m p
    K = MULMOD R J p
    L = MULMOD N F p
    No = ADDMOD K L p
""")
_ADD_LAST = tuple(operation for operation in _ADD if operation[0] not in ("Z3o", "J", "K", "L", "No"))
_ADD_FIRST = _parse("""
    x1 = SUB p nx1
    D = ADDMOD x1 nx p
    R = ADDMOD y N p
    E = MULMOD D D p
    F = MULMOD D E p
    Q = MULMOD x1 E p
    m = SUB p Q
    G = MULMOD R R p
    H = ADDMOD G F p
    I = ADDMOD H m p
    Xo = ADDMOD I m p
    J = ADDMOD Xo m p
    K = MULMOD R J p
    L = MULMOD N F p
    No = ADDMOD K L p
""")
_DOUBLE = _parse("""
    V = MULMOD N N p
    S = MULMOD X V p
    W = MULMOD N V p
    V2 = MULMOD V V p
    nz = SUB p ZZ
    u = ADDMOD X nz p
    v = ADDMOD X ZZ p
    w = MULMOD u v p
    M = MULMOD w c32 p
    ZZo = MULMOD V ZZ p
    Z3o = MULMOD W Z3 p
    m = SUB p S
    G = MULMOD M M p
    I = ADDMOD G m p
    Xo = ADDMOD I m p
    J = ADDMOD Xo m p
    K = MULMOD M J p
    No = ADDMOD K V2 p
""")

_COORDINATES = ("X", "N", "ZZ", "Z3")
_POINT = {"Xo": "X", "No": "N", "ZZo": "ZZ", "Z3o": "Z3"}

CURVE_BLOCKS: dict[str, Block] = {
    "F": Block(_ADD_FIRST, ("p",), ("N",), ("y",), {"nx": 6, "nx1": 6}, {"Xo": "X", "No": "N", "E": "ZZ", "F": "Z3"}),
    "A": Block(_ADD, ("p",), _COORDINATES, ("y",), {"nx": 6}, _POINT),
    "D": Block(_DOUBLE, ("p",), _COORDINATES, (), {"c32": 3}, _POINT),
    "L": Block(_ADD_LAST, ("p",), _COORDINATES, ("y",), {"nx": 6}, {"Xo": "X", "ZZo": "ZZ"}),
}
"""By kind of step (see comb.Step)."""

_ROUND_HEAD = """
    q20 = SHR c20 ad
    t1 = AND q20 m
    q23 = SHR c23 ad
    c1o = AND q23 m
    e1 = ADD E t1
    e2 = ADD e1 T
    s = AND e2 m
    sd = MUL s K
    q25 = SHR c25 sd
    s1 = AND q25 m
    s2 = XOR s1 t1
"""
_ROUND_XOR = """
    f1 = XOR ac bc
    FF = XOR f1 C
    g1 = XOR F G
    GG = XOR g1 E
"""
_ROUND_MAJORITY = """
    f1 = OR ac bc
    f2 = AND f1 C
    f3 = AND ac bc
    FF = OR f2 f3
    g1 = XOR F G
    g2 = AND g1 E
    GG = XOR g2 G
"""
_ROUND_TAIL = """
    ws = SHR c192 lw
    wr = MUL ws REP
    xs = SHR c192 lx
    xr = MUL xs REP
    d1 = ADD FF D
    d2 = ADD d1 s2
    d3 = ADD d2 xr
    h1 = ADD GG H
    h2 = ADD h1 s1
    h3 = ADD h2 wr
    TT2 = AND h3 m
    td = MUL TT2 K
    p15 = SHR c15 td
    p23 = SHR c23 td
    px = XOR p15 p23
    py = XOR px TT2
    Eo = AND py m
    fd = MUL F K
    q13 = SHR c13 fd
    Go = AND q13 m
    aco = AND d3 m
    ado = MUL aco K
"""


def sm3_round(j: int) -> Block:
    """Round j of SM3 in four lanes (GB/T 32905 5.3.3).

    Registers: ac, bc, C..H; ad is A twice over (for rotations), c1 is B <<< 9. lw and lx are words that start with W_j and
    W_j xor W_j+4; K = 2^32 + 1, REP spreads a word over the lanes, m cleans the lanes. The last round leaves A..H only.
    """
    last = j == 63
    text = "\n".join(part.strip("\n") for part in (_ROUND_HEAD, _ROUND_XOR if j < 16 else _ROUND_MAJORITY, _ROUND_TAIL))
    unused = ("q23", "c1o", "ado") if last else ()
    operations = tuple(operation for operation in _parse(text) if operation[0] not in unused)
    leaves = dict.fromkeys(("c20", "c23", "c25", "c15", "c13", "c192", "K", "T"), 3) | {"lw": 6, "lx": 6}
    results = {"aco": "ac", "ac": "bc", "c1": "C", "C": "D", "Eo": "E", "E": "F", "Go": "G", "G": "H"}
    if not last:
        results |= {"ado": "ad", "c1o": "c1"}
    consumed = ("H", "G", "F", "E", "D", "C", "bc", "c1", "ac", "ad")
    return Block(operations, ("REP", "m"), consumed, (), leaves, results)
