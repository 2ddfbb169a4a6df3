"""The hash of a Merkle tree, as a parameter: SM3 for the ledger, Keccak-256 for the log that the EVM checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


@dataclass(frozen=True, slots=True)
class HashFunction:
    """A hash with the domain separation of RFC 6962 §2.1: `0x00` before a leaf's data, `0x01` before two children."""

    name: str
    digest: Callable[[bytes], bytes]
    size: int = 32
    """Bytes of a digest."""

    def leaf(self, data: bytes) -> bytes:
        """`H(0x00 || data)`."""
        return self.digest(LEAF_PREFIX + data)

    def node(self, left: bytes, right: bytes) -> bytes:
        """`H(0x01 || left || right)`."""
        return self.digest(NODE_PREFIX + left + right)

    @property
    def empty_root(self) -> bytes:
        """Root of the tree without leaves: `H("")`."""
        return self.digest(b"")


SM3 = HashFunction("SM3", sm3)
KECCAK = HashFunction("KECCAK-256", keccak256)
