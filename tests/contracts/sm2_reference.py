"""SM2 and SM3 in plain integers, straight from the standards: the tests' own reference. Slow, not constant time.

GB/T 32918.2-2016 (signatures), GB/T 32918.5-2017 (curve), GB/T 32905-2016 (hash).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
Point = tuple[int, int] | None
G: tuple[int, int] = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
USER_ID = b"1234567812345678"
SM3_IV = bytes.fromhex("7380166f4914b2b9172442d7da8a0600a96f30bc163138aae38dee4db0fb0e4e")


def word(value: int) -> bytes:
    """32 bytes, big-endian."""
    return value.to_bytes(32, "big")


def _rotate(x: int, n: int) -> int:
    n %= 32
    return (x << n | x >> (32 - n)) & 0xFFFFFFFF


def sm3_compress(state: bytes, block: bytes) -> bytes:
    """One 64-byte block."""
    w = [int.from_bytes(block[4 * i : 4 * i + 4], "big") for i in range(16)]
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ _rotate(w[j - 3], 15)
        w.append(x ^ _rotate(x, 15) ^ _rotate(x, 23) ^ _rotate(w[j - 13], 7) ^ w[j - 6])
    v = [int.from_bytes(state[4 * i : 4 * i + 4], "big") for i in range(8)]
    a, b, c, d, e, f, g, h = v
    for j in range(64):
        t = _rotate(0x79CC4519 if j < 16 else 0x7A879D8A, j)
        ss1 = _rotate((_rotate(a, 12) + e + t) & 0xFFFFFFFF, 7)
        ss2 = ss1 ^ _rotate(a, 12)
        ff = a ^ b ^ c if j < 16 else a & b | a & c | b & c
        gg = e ^ f ^ g if j < 16 else e & f | ~e & g & 0xFFFFFFFF
        tt1 = (ff + d + ss2 + (w[j] ^ w[j + 4])) & 0xFFFFFFFF
        tt2 = (gg + h + ss1 + w[j]) & 0xFFFFFFFF
        a, b, c, d = tt1, a, _rotate(b, 9), c
        e, f, g, h = tt2 ^ _rotate(tt2, 9) ^ _rotate(tt2, 17), e, _rotate(f, 19), g
    return b"".join((x ^ y).to_bytes(4, "big") for x, y in zip(v, (a, b, c, d, e, f, g, h), strict=True))


def sm3(message: bytes) -> bytes:
    """Hash."""
    padded = message + b"\x80" + bytes((55 - len(message)) % 64) + (8 * len(message)).to_bytes(8, "big")
    state = SM3_IV
    for offset in range(0, len(padded), 64):
        state = sm3_compress(state, padded[offset : offset + 64])
    return state


def add(p: Point, q: Point) -> Point:
    """Sum of two affine points; None is infinity."""
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P) % P
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def multiply(k: int, p: Point) -> Point:
    """k * p."""
    result: Point = None
    while k:
        if k & 1:
            result = add(result, p)
        p = add(p, p)
        k >>= 1
    return result


def user_hash(public: tuple[int, int]) -> bytes:
    """Z."""
    bits = (8 * len(USER_ID)).to_bytes(2, "big")
    return sm3(bits + USER_ID + b"".join(word(v) for v in (A, B, *G, *public)))


def verify_digest(public: tuple[int, int], e: int, r: int, s: int) -> bool:
    """Verification, given e."""
    if not (0 < r < N and 0 < s < N) or (r + s) % N == 0:
        return False
    point = add(multiply(s, G), multiply((r + s) % N, public))
    return point is not None and (e + point[0]) % N == r


@dataclass(frozen=True)
class Key:
    """A private key with deterministic nonces: for tests only."""

    d: int

    @cached_property
    def public(self) -> tuple[int, int]:
        point = multiply(self.d, G)
        assert point is not None
        return point

    @cached_property
    def z(self) -> bytes:
        return user_hash(self.public)

    def digest(self, message: bytes) -> int:
        """e = SM3(Z || message)."""
        return int.from_bytes(sm3(self.z + message), "big")

    def sign_digest(self, e: int, k: int | None = None) -> tuple[int, int]:
        """(r, s) over e, with nonce k if given."""
        source = random.Random(f"{self.d}:{e}")
        while True:
            nonce = k or source.randrange(1, N)
            point = multiply(nonce, G)
            assert point is not None
            r = (e + point[0]) % N
            s = (nonce - r * self.d) * pow(1 + self.d, -1, N) % N
            if r and s and r + nonce != N:
                return r, s
            if k:
                raise ValueError("this nonce cannot sign")

    def sign(self, message: bytes) -> bytes:
        """r || s."""
        r, s = self.sign_digest(self.digest(message))
        return word(r) + word(s)
