"""RFC 6962 §2.1 written down as the RFC defines it, by recursion over lists: slow, obvious, and sharing no code."""

from __future__ import annotations

from collections.abc import Callable

Digest = Callable[[bytes], bytes]


def _k(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(digest: Digest, leaves: list[bytes]) -> bytes:
    """MTH(D[n]) over leaf data."""
    n = len(leaves)
    if n == 0:
        return digest(b"")
    if n == 1:
        return digest(b"\x00" + leaves[0])
    k = _k(n)
    return digest(b"\x01" + mth(digest, leaves[:k]) + mth(digest, leaves[k:]))


def path(digest: Digest, m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    n = len(leaves)
    if n == 1:
        return []
    k = _k(n)
    if m < k:
        return [*path(digest, m, leaves[:k]), mth(digest, leaves[k:])]
    return [*path(digest, m - k, leaves[k:]), mth(digest, leaves[:k])]


def proof(digest: Digest, m: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(digest, m, leaves, True)


def _subproof(digest: Digest, m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(digest, leaves)]
    k = _k(n)
    if m <= k:
        return [*_subproof(digest, m, leaves[:k], whole), mth(digest, leaves[k:])]
    return [*_subproof(digest, m - k, leaves[k:], False), mth(digest, leaves[:k])]
