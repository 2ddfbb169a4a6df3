"""Keccak-256 as the EVM has it (the original padding 0x01, not FIPS 202's SHA3-256)."""

from __future__ import annotations

# safe-pysha3, which eth-hash[pysha3] installs. Called directly: through eth_hash.auto a short input costs about
# five times as much, because that picks pycryptodome when both are installed.
from sha3 import keccak_256 as _keccak_256  # type: ignore[import-untyped, unused-ignore]

from mainland_chain.crypto import _vectors
from mainland_chain.crypto.errors import SelfTestFailed

DIGEST_SIZE = 32


def keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data`: 32 bytes."""
    digest: bytes = _keccak_256(data).digest()
    return digest


for _vector in _vectors.KECCAK256:
    if keccak256(_vector.message) != _vector.digest:
        raise SelfTestFailed("safe-pysha3", _vector.source)
