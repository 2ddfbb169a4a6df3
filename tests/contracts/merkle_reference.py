"""RFC 9162 by its recursive definitions (2.1.1 MTH, 2.1.3.1 PATH, 2.1.4.1 SUBPROOF), with Keccak-256."""

from __future__ import annotations

from eth_hash.auto import keccak


def _split(n: int) -> int:
    """Largest power of two below n."""
    return 1 << ((n - 1).bit_length() - 1)


class Tree:
    """A log of leaf hashes."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self._nodes: dict[tuple[int, int], bytes] = {}

    def _mth(self, start: int, end: int) -> bytes:
        if end == start:
            return keccak(b"")
        if end - start == 1:
            return self.leaves[start]
        if (start, end) not in self._nodes:
            middle = start + _split(end - start)
            self._nodes[start, end] = keccak(b"\x01" + self._mth(start, middle) + self._mth(middle, end))
        return self._nodes[start, end]

    def root(self, size: int | None = None) -> bytes:
        return self._mth(0, len(self.leaves) if size is None else size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return self._path(index, 0, size)

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        k = _split(end - start)
        if index < k:
            return [*self._path(index, start, start + k), self._mth(start + k, end)]
        return [*self._path(index - k, start + k, end), self._mth(start, start + k)]

    def consistency(self, first: int, second: int) -> list[bytes]:
        return self._subproof(first, 0, second, whole=True)

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if first == end - start:
            return [] if whole else [self._mth(start, end)]
        k = _split(end - start)
        if first <= k:
            return [*self._subproof(first, start, start + k, whole=whole), self._mth(start + k, end)]
        return [*self._subproof(first - k, start + k, end, whole=False), self._mth(start, start + k)]
