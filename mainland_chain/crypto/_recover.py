"""The public key behind a signing function, from its signatures alone.

A signature (r, s) of e satisfies R = sG + (r+s)P with r = e + x(R) mod n (GB/T 32918.2-2016 §7.1). So
P = (r+s)^-1 (R - sG) for one of two points R; a second signature tells which. Only public values are computed with.
"""

from __future__ import annotations

from collections.abc import Callable

from mainland_chain.crypto._curve import GX, GY, A, B, N, P

Point = tuple[int, int] | None  # None is the point at infinity


def _add(left: Point, right: Point) -> Point:
    if left is None or right is None:
        return right if left is None else left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if (y1 + y2) % P == 0:
            return None
        slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) % P
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P) % P
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


def multiply(scalar: int, point: Point) -> Point:
    """`scalar` times `point`. Not constant-time: for public scalars only."""
    total: Point = None
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _candidates(e: bytes, signature: bytes) -> set[tuple[int, int]]:
    """Every public key under which `signature` of `e` is valid."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    x = (r - int.from_bytes(e, "big")) % N
    minus_sg = multiply(N - s, (GX, GY))
    inverse = pow(r + s, -1, N)
    found = set()
    for x_r in (x, x + N):  # x(R) was reduced mod n, and n < p
        square = (x_r * x_r * x_r + A * x_r + B) % P
        root = pow(square, (P + 1) // 4, P)  # p = 3 mod 4
        if x_r >= P or root * root % P != square:
            continue
        for y_r in (root, P - root):
            point = multiply(inverse, _add((x_r, y_r), minus_sg))
            if point is not None:
                found.add(point)
    return found


def public_key(sign_digest: Callable[[bytes], bytes]) -> bytes:
    """`X || Y`, 64 bytes, of the key that `sign_digest` signs with. Raises `ValueError` if its signatures disagree."""
    digests = (bytes(31) + b"\1", bytes(31) + b"\2")
    common = set.intersection(*(_candidates(e, sign_digest(e)) for e in digests))
    if len(common) != 1:
        raise ValueError("the signatures do not determine one public key")
    x, y = common.pop()
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")
